//! A simulated payment provider. Two amounts have other outcomes; all others are paid at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The provider, with the purchases that wait for a step.
#[derive(Debug, Default)]
pub struct Simulated {
    waiting: Mutex<HashSet<Id>>,
}

/// Returns the state of `purchase` with the simulated provider.
#[must_use]
pub fn purchase_state(app: App) -> PurchaseState {
    PurchaseState { app, payments: Arc::new(Simulated::default()) }
}

impl Payments for Simulated {
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(ready(Ok(self.outcome(purchase))))
    }
}

impl Simulated {
    fn outcome(&self, purchase: &Purchase) -> Payment {
        match purchase.credits {
            DECLINED => Payment::Failed("the card was declined".to_owned()),
            NEEDS_A_STEP if purchase.top_up => {
                Payment::Failed("the payment needs a step by the customer".to_owned())
            }
            NEEDS_A_STEP if self.is_new(purchase) => Payment::ActionNeeded(json!({
                "type": "simulated",
                "detail": "Send the same request again to confirm the payment.",
            })),
            _ => Payment::Succeeded,
        }
    }

    fn is_new(&self, purchase: &Purchase) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(purchase.id.clone())
    }
}
