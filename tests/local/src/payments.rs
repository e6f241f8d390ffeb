//! A simulated payment provider. Two amounts have other outcomes; all others are paid at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, ready};
use purchase::PurchaseState;
use purchase::payments::{Payment, Payments};
use serde_json::json;
use shared::domain::ids::Id;
use shared::domain::purchase::Purchase;
use shared::domain::{Credits, Error};
use shared::lambda::App;

/// A purchase of this amount is declined.
pub const DECLINED: Credits = Credits::new(402);

/// A purchase of this amount needs a step by the customer. Sending the same purchase again takes it.
pub const NEEDS_A_STEP: Credits = Credits::new(202);

/// The provider, with the payments that were requested.
#[derive(Debug, Default)]
pub struct Simulated {
    payments: Mutex<HashMap<Id, Payment>>,
}

/// Returns the state of `purchase` with the simulated provider.
#[must_use]
pub fn purchase_state(app: App) -> PurchaseState {
    PurchaseState { app, payments: Arc::new(Simulated::default()) }
}

impl Payments for Simulated {
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(ready(Ok(self.update(purchase, |before| requested(purchase, before)))))
    }

    fn state<'a>(
        &'a self,
        purchase: &'a Purchase,
    ) -> BoxFuture<'a, Result<Option<Payment>, Error>> {
        Box::pin(ready(Ok(self.payments().get(&purchase.id).cloned())))
    }

    fn cancel<'a>(
        &'a self,
        purchase: &'a Purchase,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        let ended = |before| match before {
            Some(Payment::Succeeded) => Payment::Succeeded,
            Some(Payment::ActionNeeded(_) | Payment::Failed(_)) | None => {
                Payment::Failed(reason.to_owned())
            }
        };
        Box::pin(ready(Ok(self.update(purchase, ended))))
    }
}

impl Simulated {
    fn payments(&self) -> MutexGuard<'_, HashMap<Id, Payment>> {
        self.payments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the state of a payment that follows from the one before.
    fn update(
        &self,
        purchase: &Purchase,
        next: impl FnOnce(Option<Payment>) -> Payment,
    ) -> Payment {
        let mut payments = self.payments();
        let after = next(payments.get(&purchase.id).cloned());
        payments.insert(purchase.id.clone(), after.clone());
        after
    }
}

/// The state of a payment after another request.
fn requested(purchase: &Purchase, before: Option<Payment>) -> Payment {
    match (purchase.credits, before) {
        (_, Some(Payment::Failed(reason))) => Payment::Failed(reason),
        (DECLINED, _) => Payment::Failed("the card was declined".to_owned()),
        (NEEDS_A_STEP, _) if purchase.top_up => {
            Payment::Failed("the payment needs a step by the customer".to_owned())
        }
        (NEEDS_A_STEP, None) => Payment::ActionNeeded(json!({
            "type": "simulated",
            "detail": "Send the same request again to confirm the payment.",
        })),
        _ => Payment::Succeeded,
    }
}
