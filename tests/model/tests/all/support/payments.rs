//! A payment provider, and the delivery of top-up events to `purchase`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::BoxFuture;
use purchase::PurchaseState;
use purchase::payments::{Payment, Payments};
use serde_json::Value;
use shared::domain::Error;
use shared::domain::ids::Id;
use shared::domain::purchase::Purchase;
use tokio::time::sleep;

/// A payment provider that identifies a purchase by its id.
#[derive(Debug)]
pub struct Provider {
    declines: fn(&Purchase) -> bool,
    /// The number of requests for each purchase.
    pub requests: Mutex<BTreeMap<Id, u32>>,
    /// The purchases that were cancelled before a request, with the reasons.
    cancelled: Mutex<BTreeMap<Id, String>>,
}

impl Provider {
    pub fn declining(declines: fn(&Purchase) -> bool) -> Self {
        Self { declines, requests: Mutex::default(), cancelled: Mutex::default() }
    }

    pub fn is_requested(&self, purchase: &Purchase) -> bool {
        self.requests.lock().unwrap().contains_key(&purchase.id)
    }

    /// The result of a payment that was requested or cancelled.
    pub fn result(&self, purchase: &Purchase) -> Payment {
        if let Some(reason) = self.cancelled.lock().unwrap().get(&purchase.id) {
            return Payment::Failed(reason.clone());
        }
        if (self.declines)(purchase) {
            return Payment::Failed("the card was declined".to_owned());
        }
        Payment::Succeeded
    }
}

impl Payments for Provider {
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async {
            if self.cancelled.lock().unwrap().contains_key(&purchase.id) {
                return Ok(self.result(purchase));
            }
            let requests = {
                let mut requests = self.requests.lock().unwrap();
                let times = requests.entry(purchase.id.clone()).or_default();
                *times += 1;
                *times
            };
            sleep(Duration::from_millis(300)).await;
            // The first answer may get lost.
            if requests == 1 && fastrand::bool() {
                Err(Error::Busy)
            } else {
                Ok(self.result(purchase))
            }
        })
    }

    fn state<'a>(
        &'a self,
        purchase: &'a Purchase,
    ) -> BoxFuture<'a, Result<Option<Payment>, Error>> {
        Box::pin(async {
            let is_requested = self.is_requested(purchase);
            sleep(Duration::from_millis(300)).await;
            Ok(is_requested.then(|| self.result(purchase)))
        })
    }

    fn cancel<'a>(
        &'a self,
        purchase: &'a Purchase,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async {
            if !self.is_requested(purchase) {
                let reasons = &mut self.cancelled.lock().unwrap();
                reasons.entry(purchase.id.clone()).or_insert_with(|| reason.to_owned());
            }
            sleep(Duration::from_millis(300)).await;
            Ok(self.result(purchase))
        })
    }
}

/// Delivers an event until it succeeds, as Lambda does.
pub async fn deliver(state: &PurchaseState, event: &[u8]) -> Value {
    for _ in 0..20 {
        match purchase::top_up(state, event).await {
            Ok(answer) => return answer,
            Err(Error::Busy) => sleep(Duration::from_secs(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the event did not succeed");
}
