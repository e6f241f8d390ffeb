//! Charges: requests of money from a card.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Account;
use crate::card::Decline;
use crate::customer::card_json;
use crate::intent::Intent;
use crate::numbered::Named;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChargeState {
    Pending,
    Paid,
    Failed(&'static Decline),
}

#[derive(Debug)]
pub(crate) struct Charge {
    id: String,
    intent: String,
    method: String,
    /// The intent's metadata when the charge was made.
    metadata: BTreeMap<String, String>,
    created: i64,
    pub(crate) state: ChargeState,
}

impl Named for Charge {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Account {
    /// Requests the money of an intent from its card. Returns the id of the charge.
    pub(crate) fn add_charge(&mut self, intent: &str, state: ChargeState, now: i64) -> String {
        let Some(intent) = self.intents.get_mut(intent) else { return String::new() };
        intent.charge_attempts = intent.charge_attempts.saturating_add(1);
        let id = self.charges.add(|id| Charge {
            id,
            intent: intent.id.clone(),
            method: intent.method.clone().unwrap_or_default(),
            metadata: intent.metadata.clone(),
            created: now,
            state,
        });
        intent.charge = Some(id.clone());
        id
    }

    /// The JSON of a charge; null for an unknown id.
    pub(crate) fn charge_json(&self, id: &str) -> Value {
        let Some(charge) = self.charges.get(id) else { return Value::Null };
        let Some(intent) = self.intents.get(&charge.intent) else { return Value::Null };
        let is_paid = charge.state == ChargeState::Paid;
        let (status, failure) = match charge.state {
            ChargeState::Pending => ("pending", None),
            ChargeState::Paid => ("succeeded", None),
            ChargeState::Failed(decline) => ("failed", Some(decline)),
        };
        let refunded = if is_paid { intent.refunded } else { 0 };
        let receipt = is_paid.then(|| self.page_url(&intent.id));
        let card = self.methods.get(&charge.method).map(|method| card_json(method.card));
        json!({
            "id": charge.id,
            "object": "charge",
            "amount": intent.amount,
            "amount_captured": if is_paid { intent.amount } else { 0 },
            "amount_refunded": refunded,
            "balance_transaction": null,
            "captured": is_paid,
            "created": charge.created,
            "currency": intent.currency,
            "customer": intent.customer,
            "description": intent.description,
            "disputed": is_paid && intent.disputed,
            "failure_code": failure.map(|decline| decline.code),
            "failure_message": failure.map(|decline| decline.message),
            "livemode": false,
            "metadata": charge.metadata,
            "outcome": outcome(failure),
            "paid": is_paid,
            "payment_intent": charge.intent,
            "payment_method": charge.method,
            "payment_method_details": { "card": card, "type": "card" },
            "receipt_url": receipt,
            "refunded": is_paid && refunded == intent.amount,
            "status": status,
        })
    }

    /// The charge of an intent as a property: its id, or the object.
    pub(crate) fn latest_charge(&self, intent: &Intent, is_expanded: bool) -> Value {
        match &intent.charge {
            Some(charge) if is_expanded => self.charge_json(charge),
            charge => json!(charge),
        }
    }
}

fn outcome(failure: Option<&Decline>) -> Value {
    match failure {
        None => json!({
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        }),
        Some(decline) => json!({
            "network_status": "declined_by_network",
            "reason": decline.reason,
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }),
    }
}
