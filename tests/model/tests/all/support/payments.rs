//! A payment provider, and events of automatic top-ups for `purchase`.

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

/// A payment provider that knows each purchase by its id, as a real one does.
#[derive(Debug)]
pub struct Provider {
    declines: fn(&Purchase) -> bool,
    /// How often each purchase was asked for.
    pub asked: Mutex<BTreeMap<Id, u32>>,
}

impl Provider {
    pub fn that_declines(declines: fn(&Purchase) -> bool) -> Self {
        Self { declines, asked: Mutex::default() }
    }
}

impl Payments for Provider {
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(async {
            let asked = {
                let mut asked = self.asked.lock().unwrap();
                let times = asked.entry(purchase.id.clone()).or_default();
                *times += 1;
                *times
            };
            sleep(Duration::from_millis(300)).await;
            match ((self.declines)(purchase), asked) {
                // The first answer gets lost.
                (_, 1) if fastrand::bool() => Err(Error::Busy),
                (true, _) => Ok(Payment::Failed("the card was declined".to_owned())),
                (false, _) => Ok(Payment::Succeeded),
            }
        })
    }
}

/// Brings an event as Lambda does, which tries again what has failed.
pub async fn bring(state: &PurchaseState, event: &[u8]) -> Value {
    for _ in 0..20 {
        match purchase::top_up(state, event).await {
            Ok(came) => return came,
            Err(Error::Busy) => sleep(Duration::from_secs(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it is tried and tried");
}
