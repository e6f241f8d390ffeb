//! The event bus: answers `PutEvents` of the SDK, with the same latencies and faults as the table.
//! A conflict of the table corresponds to an answer in which some entries failed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::connector::served;
use crate::faults::{Fault, Faults, NETWORK, varied};
use crate::table::Answer;

/// The SDK's connection to a bus, and the entries that have arrived.
#[derive(Clone, Debug)]
pub(crate) struct EventBridge(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    faults: Faults,
    chance: Rng,
    arrived: Vec<Value>,
}

impl HttpConnector for EventBridge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        served(self.clone().serve(body))
    }
}

impl EventBridge {
    pub(crate) fn new(faults: Faults, seed: u64) -> Self {
        let chance = Rng::with_seed(seed);
        Self(Arc::new(Mutex::new(State { faults, chance, arrived: Vec::new() })))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.with(|state| state.faults = faults);
    }

    /// The entries that have arrived, in order.
    pub(crate) fn arrived(&self) -> Vec<Value> {
        self.with(|state| state.arrived.clone())
    }

    async fn on_the_way(&self) {
        let time = self.with(|state| varied(NETWORK, &mut state.chance));
        sleep(time).await;
    }

    async fn serve(self, body: Vec<u8>) -> Option<Answer> {
        let fault = self.with(|state| state.faults.draw(&mut state.chance));
        self.on_the_way().await;
        let answer = match fault {
            Fault::Rejected => Answer::error(500, "InternalException"),
            Fault::Throttled => Answer::error(400, "ThrottlingException"),
            Fault::InConflict | Fault::Broken | Fault::Silent | Fault::Spared => {
                self.put_events(&body, fault == Fault::InConflict)
            }
        };
        self.on_the_way().await;
        match fault {
            Fault::Broken => None,
            Fault::Silent => std::future::pending().await,
            Fault::Rejected | Fault::Throttled | Fault::InConflict | Fault::Spared => Some(answer),
        }
    }

    fn put_events(&self, body: &[u8], some_fail: bool) -> Answer {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let entries = request.get("Entries").and_then(Value::as_array).into_iter().flatten();
        let results: Vec<Value> = self.with(|state| {
            let mut put = |entry: &Value| {
                let code = ["ThrottlingException", "InternalFailure"];
                if some_fail && let Some(code) = code.get(state.chance.usize(0..3)) {
                    return json!({ "ErrorCode": code });
                }
                state.arrived.push(entry.clone());
                json!({ "EventId": state.arrived.len().to_string() })
            };
            entries.map(&mut put).collect()
        });
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        let body = json!({ "FailedEntryCount": failed, "Entries": results }).to_string();
        Answer { status: 200, body }
    }
}
