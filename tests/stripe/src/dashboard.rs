//! Refunds and disputes.

use serde_json::{Value, json};

use crate::Account;
use crate::customer::{limit, list};
use crate::form::Form;
use crate::intent::IntentStatus;
use crate::numbered::Named;
use crate::refusal::Refusal;

#[derive(Debug)]
pub(crate) struct Refund {
    id: String,
    amount: u64,
    intent: String,
    created: i64,
}

impl Named for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug)]
pub(crate) struct Dispute {
    id: String,
    intent: String,
    object: Value,
}

impl Named for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Account {
    /// The merchant refunds a part of a payment. Returns `false` if the payment is not successful or
    /// disputed, or if less than `cents` is left.
    pub fn refund(&mut self, intent: &str, cents: u64, now: i64) -> bool {
        self.advance(now);
        let Some(found) = self.intents.get_mut(intent) else { return false };
        let left = found.amount_received.saturating_sub(found.refunded);
        if found.status != IntentStatus::Succeeded || found.disputed || !(1..=left).contains(&cents)
        {
            return false;
        }
        found.refunded = found.refunded.saturating_add(cents);
        let charge = found.charge.clone().unwrap_or_default();
        let refund = self.refunds.add(|id| Refund {
            id,
            amount: cents,
            intent: intent.to_owned(),
            created: now,
        });
        let refund = self.refunds.get(&refund).map_or(Value::Null, |it| self.refund_json(it));
        self.emit("refund.created", &refund, now);
        let charge = self.charge_json(&charge);
        self.emit("charge.refunded", &charge, now);
        true
    }

    /// The customer disputes a payment. Returns `false` if the payment is not successful, or is
    /// disputed or refunded in full.
    pub fn dispute(&mut self, intent: &str, now: i64) -> bool {
        let cents = self.intents.get(intent).map_or(0, |intent| intent.amount);
        self.dispute_part(intent, cents, "needs_response", now)
    }

    /// The customer disputes a part of a payment, or the bank only asks (`warning_needs_response`). Returns `false`
    /// if the payment is not successful, or is disputed or refunded in full.
    pub fn dispute_part(&mut self, intent: &str, cents: u64, status: &str, now: i64) -> bool {
        self.advance(now);
        let Some(found) = self.intents.get_mut(intent) else { return false };
        let is_refunded = found.refunded == found.amount_received;
        if found.status != IntentStatus::Succeeded || found.disputed || is_refunded {
            return false;
        }
        found.disputed = true;
        let (charge, currency) = (found.charge.clone(), found.currency.clone());
        let object = |id: &str| {
            json!({
                "id": id,
                "object": "dispute",
                "amount": cents,
                "balance_transactions": [],
                "charge": charge,
                "created": now,
                "currency": currency,
                "is_charge_refundable": false,
                "livemode": false,
                "metadata": {},
                "payment_intent": intent,
                "reason": "fraudulent",
                "status": status,
            })
        };
        let id = self.disputes.add(|id| {
            let object = object(&id);
            Dispute { id, intent: intent.to_owned(), object }
        });
        let dispute = self.disputes.get(&id).map_or(Value::Null, |it| it.object.clone());
        self.emit("charge.dispute.created", &dispute, now);
        true
    }

    pub(crate) fn list_disputes(&self, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["payment_intent", "limit"])?;
        let (limit, intent) = (limit(form)?, form.get("payment_intent"));
        let is_listed = |dispute: &&Dispute| intent.is_none_or(|intent| dispute.intent == intent);
        let disputes = self.disputes.iter().rev().filter(is_listed);
        let disputes = disputes.map(|dispute| dispute.object.clone()).collect();
        Ok(list(disputes, limit, "/v1/disputes"))
    }

    pub(crate) fn list_refunds(&self, form: Form<'_>) -> Result<Value, Refusal> {
        form.check(&["payment_intent", "limit"])?;
        let limit = limit(form)?;
        let intent = form.get("payment_intent");
        if let Some(id) = intent.filter(|id| self.intents.get(id).is_none()) {
            return Err(Refusal::unknown_reference("payment_intent", id, "payment_intent"));
        }
        let is_listed = |refund: &&Refund| intent.is_none_or(|intent| refund.intent == intent);
        let refunds = self.refunds.iter().rev().filter(is_listed);
        Ok(list(refunds.map(|refund| self.refund_json(refund)).collect(), limit, "/v1/refunds"))
    }

    fn refund_json(&self, refund: &Refund) -> Value {
        let intent = self.intents.get(&refund.intent);
        json!({
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount,
            "balance_transaction": null,
            "charge": intent.and_then(|intent| intent.charge.clone()),
            "created": refund.created,
            "currency": intent.map(|intent| intent.currency.clone()),
            "metadata": {},
            "payment_intent": refund.intent,
            "reason": null,
            "receipt_number": null,
            "status": "succeeded",
        })
    }
}
