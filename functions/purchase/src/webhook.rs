//! Stripe's messages about payments.
//!
//! A message is a hint: the function retrieves the payment from Stripe and acts on that. So messages may come in any
//! order, any number of times, or never.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use lambda_http::tracing;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::{Id, ProviderId, TeamId};
use shared::domain::money::Amount;
use shared::domain::payment::{DisputeCause, PaymentObject, Unassigned};
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::http::NoQuery;

use crate::PurchaseState;
use crate::payment::{Payment, receipt};
use crate::stripe::{Expandable, Intent, IntentStatus, is_signed};

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

/// The object of a message, of which only the ids are used.
#[derive(Deserialize)]
struct Object {
    id: Option<ProviderId>,
    #[serde(rename = "object", default)]
    of: String,
    payment_intent: Option<ProviderId>,
}

pub(crate) async fn receive(
    State(state): State<PurchaseState>,
    _: NoQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Error> {
    let secrets = state.stripe.webhook_secrets().await?;
    let signature = headers.get("stripe-signature").and_then(|header| header.to_str().ok());
    let now = state.app.clock.now().timestamp().as_second();
    if !is_signed(signature.unwrap_or_default(), &body, &secrets, now) {
        return Err(Error::invalid("Stripe-Signature", "must be a recent signature of the body"));
    }
    let received = Json(json!({ "received": true }));
    let Ok(Message { kind, data: Data { object } }) = serde_json::from_slice(&body) else {
        tracing::warn!("a message of Stripe has no object and is ignored");
        return Ok(received);
    };
    tracing::info!(kind, "a message of Stripe was received");
    let Object { id, of, payment_intent } = object;
    let found = match of.as_str() {
        "payment_intent" => id,
        "charge" | "dispute" | "refund" => payment_intent,
        "checkout.session" => match id {
            Some(id) => Box::pin(state.session_changed(&id)).await?,
            None => None,
        },
        _ => None,
    };
    if let Some(id) = found {
        Box::pin(state.intent_changed(&id)).await?;
    }
    Ok(received)
}

impl PurchaseState {
    /// Handles a change of a page. Returns its payment, if the customer has entered a card.
    async fn session_changed(&self, id: &ProviderId) -> Result<Option<ProviderId>, Error> {
        let Some(session) = self.stripe.session_read(id).await? else { return Ok(None) };
        if session.payment_intent.is_some() {
            return Ok(session.payment_intent);
        }
        let purchase = self.purchase_of(&session.metadata).await?;
        // The purchase may have another page by now.
        let is_of_page = |purchase: &Purchase| {
            purchase
                .payment
                .as_ref()
                .is_some_and(|payment| payment.object == PaymentObject::Session(session.id.clone()))
        };
        if let Some(purchase) = purchase.filter(is_of_page) {
            self.update(purchase).await?;
        }
        Ok(None)
    }

    /// Handles a change of a payment: settles or fails its purchase, and records money that went back.
    async fn intent_changed(&self, id: &ProviderId) -> Result<(), Error> {
        let Some(intent) = self.stripe.intent_read(id).await? else { return Ok(()) };
        let Some(purchase) = self.purchase_of(&intent.metadata).await? else { return Ok(()) };
        if intent.status == IntentStatus::Succeeded {
            self.paid(&intent, purchase.clone()).await?;
            self.record_disputes(&intent, &purchase).await
        } else {
            self.update(purchase).await
        }
    }

    /// Adds the credits of a purchase whose payment took the money. A payment that does not match it is unassigned.
    async fn paid(&self, intent: &Intent, purchase: Purchase) -> Result<(), Error> {
        match mismatch(intent, &purchase) {
            None if purchase.status == PurchaseStatus::Paid => Ok(()),
            None => self.conclude(purchase, Payment::Succeeded(receipt(intent))).await.map(drop),
            Some(reason) => {
                let (team, purchase_id) = (&purchase.team, &purchase.id);
                tracing::error!(%team, purchase = %purchase_id, payment = %intent.id, reason,
                    "money is unassigned");
                let cents = intent.amount_received;
                let currency = intent.currency.clone().try_into();
                let currency = currency.unwrap_or(purchase.amount.currency);
                let unassigned = Unassigned {
                    payment: intent.id.clone(),
                    amount: Amount { cents, currency },
                    reason: reason.to_owned(),
                };
                self.app.store.purchase_put_unassigned(&purchase, &unassigned).await
            }
        }
    }

    /// Stores the result of a pending purchase's payment, if it has one.
    async fn update(&self, purchase: Purchase) -> Result<(), Error> {
        if purchase.status != PurchaseStatus::Pending || purchase.payment.is_none() {
            return Ok(());
        }
        let payment = self.payment_state(&purchase).await?;
        self.conclude(purchase, payment).await.map(drop)
    }

    /// Records a chargeback and refunds of a payment.
    async fn record_disputes(&self, intent: &Intent, purchase: &Purchase) -> Result<(), Error> {
        let charge = intent.latest_charge.as_ref().and_then(Expandable::object);
        let Some(charge) = charge else { return Ok(()) };
        let mut disputes = Vec::new();
        if charge.disputed {
            let cents = intent.amount_received;
            disputes.push((charge.id.clone(), cents, DisputeCause::Chargeback));
        }
        if charge.amount_refunded > 0 {
            let refunds = self.stripe.refunds_list(&intent.id).await?.into_iter();
            let made = refunds.filter(|refund| refund.status.as_deref() != Some("failed"));
            disputes.extend(made.map(|refund| (refund.id, refund.amount, DisputeCause::Refund)));
        }
        for (object, cents, cause) in disputes {
            let entry = purchase.dispute(object, cents, cause, self.app.clock.now());
            self.app.store.dispute_put(&entry).await?;
        }
        Ok(())
    }

    /// The purchase that the metadata of a payment names; `None` for a payment of another system.
    async fn purchase_of(
        &self,
        metadata: &std::collections::HashMap<String, String>,
    ) -> Result<Option<Purchase>, Error> {
        let named = |name: &str| metadata.get(name).map(String::as_str).unwrap_or_default();
        let (Ok(team), Ok(id)) = (named("team").parse::<TeamId>(), named("purchase").parse::<Id>())
        else {
            return Ok(None);
        };
        match self.app.store.purchase_read(&team, &id).await {
            Ok(purchase) => Ok(Some(purchase)),
            Err(Error::NotFound(_)) => {
                tracing::error!(%team, purchase = %id, "a payment names an unknown purchase");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Why a payment that took money is not the payment of a purchase.
fn mismatch(intent: &Intent, purchase: &Purchase) -> Option<&'static str> {
    let Some(payment) = &purchase.payment else {
        return Some("the purchase has requested no payment");
    };
    if intent.customer.as_ref() != Some(&payment.customer) {
        return Some("the payment is of another customer");
    }
    if intent.currency != purchase.amount.currency.to_string() {
        return Some("the payment is in another currency");
    }
    if intent.amount_received != purchase.amount.cents {
        return Some("the payment is of another amount");
    }
    let is_requested = match &payment.object {
        PaymentObject::Intent(id) => *id == intent.id,
        PaymentObject::Session(_) => true,
    };
    let is_receipt = purchase.receipt.as_ref().is_none_or(|receipt| receipt.payment == intent.id);
    if is_requested && is_receipt { None } else { Some("the purchase has another payment") }
}
