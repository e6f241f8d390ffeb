//! Stripe's messages about payments.
//!
//! A message is a hint: the function retrieves the payment from Stripe and acts on that. So messages may come in any
//! order, any number of times, or never.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use lambda_http::tracing;
use serde::{Deserialize, Serialize};
use shared::domain::Error;
use shared::domain::ids::{Id, ProviderId, TeamId};
use shared::domain::payment::{DisputeCause, PaymentObject};
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::http::{Body, NoQuery};

use crate::PurchaseState;
use crate::stripe::{Expandable, Intent, IntentStatus, Returned, is_signed};

/// A message of Stripe. Further fields are ignored.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookMessage {
    /// The kind of the change, such as `payment_intent.succeeded`.
    #[serde(rename = "type")]
    kind: String,
    data: Option<WebhookData>,
}

/// The data of a message.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookData {
    object: WebhookObject,
}

/// The answer to a message.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Received {
    /// Always true.
    received: bool,
}

/// The object that has changed. Only the ids are used.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookObject {
    id: Option<ProviderId>,
    /// The type of the object, such as `payment_intent`.
    #[serde(rename = "object", default)]
    of: String,
    payment_intent: Option<ProviderId>,
}

pub(crate) async fn receive_message(
    State(state): State<PurchaseState>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Received>, Error> {
    let secrets = state.stripe.webhook_secrets().await?;
    let signature = headers.get("stripe-signature").and_then(|header| header.to_str().ok());
    let now = state.app.clock.now().timestamp().as_second();
    if !is_signed(signature.unwrap_or_default(), body.bytes(), &secrets, now) {
        return Err(Error::invalid("Stripe-Signature", "must be a recent signature of the body"));
    }
    let message: WebhookMessage = serde_json::from_slice(body.bytes())
        .map_err(|error| Error::invalid("body", error.to_string()))?;
    let WebhookMessage { kind, data } = message;
    tracing::info!(kind, "a message of Stripe was received");
    let Some(WebhookData { object: WebhookObject { id, of, payment_intent } }) = data else {
        return Ok(Json(Received { received: true }));
    };
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
    Ok(Json(Received { received: true }))
}

impl PurchaseState {
    /// Handles a change of a page. Returns its payment, if the customer has entered a card.
    async fn session_changed(&self, id: &ProviderId) -> Result<Option<ProviderId>, Error> {
        let session = self.stripe.session_read(id).await?.ok_or_else(|| unknown(id))?;
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
        let intent = self.stripe.intent_read(id).await?.ok_or_else(|| unknown(id))?;
        let Some(purchase) = self.purchase_of(&intent.metadata).await? else { return Ok(()) };
        if intent.status == IntentStatus::Succeeded {
            let purchase = self.add_payment(purchase, &intent).await?;
            // A payment that added no credits is unassigned. An operator refunds it.
            if purchase.receipt.as_ref().is_none_or(|receipt| receipt.payment != intent.id) {
                return Ok(());
            }
            self.record_disputes(&intent, &purchase).await
        } else {
            self.update(purchase).await
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

    /// Records the chargebacks and the refunds of a payment.
    async fn record_disputes(&self, intent: &Intent, purchase: &Purchase) -> Result<(), Error> {
        let charge = intent.latest_charge.as_ref().and_then(Expandable::object);
        let Some(charge) = charge else { return Ok(()) };
        let mut returned = Vec::new();
        if charge.disputed {
            let disputes = self.stripe.disputes_list(&intent.id).await?.into_iter();
            let disputes = disputes.filter(|dispute| !dispute.is_inquiry());
            returned.extend(disputes.map(|dispute| (dispute, DisputeCause::Chargeback)));
        }
        if charge.amount_refunded > 0 {
            let refunds = self.stripe.refunds_list(&intent.id).await?.into_iter();
            let refunds = refunds.filter(|refund| refund.has_status("succeeded"));
            returned.extend(refunds.map(|refund| (refund, DisputeCause::Refund)));
        }
        for (Returned { id, amount, .. }, cause) in returned {
            let entry = purchase.dispute(id, amount, cause, self.app.clock.now());
            self.app.store.dispute_put(&entry).await?;
        }
        Ok(())
    }

    /// The purchase that the metadata of a payment names; `None` for a payment of another system.
    async fn purchase_of(
        &self,
        metadata: &HashMap<String, String>,
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

/// The error of a message about an object that the connected account does not have. Stripe sends the message again, so
/// that it is not lost while the secret of another account is stored.
fn unknown(id: &ProviderId) -> Error {
    Error::internal(format!("the Stripe account does not have {id}, of which it sent a message"))
}
