//! The rules of the bus in the template. One sends due top-ups to the function `purchase`, the other
//! sends unreadable records to a queue.

use axum::Router;
use lambda_http::{Context, LambdaEvent, tracing};
use purchase::PurchaseState;
use serde_json::Value;
use serde_json::value::to_raw_value;
use shared::http::serve;
use tokio::sync::Mutex;

use crate::eventbridge::Delivered;
use crate::pattern::{self, matches};

/// The pattern of the rule whose target is `purchase`.
const TOP_UPS: &str = "/Resources/Purchase/Properties/Events/TopUp/Properties/Pattern";

/// The pattern of the rule whose target is the queue of unreadable records.
const UNREADABLE: &str = "/Resources/UnreadableRecordsRule/Properties/EventPattern";

/// Attempts per event, as for an asynchronous invocation of Lambda.
const ATTEMPTS_MAX: u32 = 3;

/// The rules and the state of `purchase`.
#[derive(Debug)]
pub(crate) struct Rules {
    state: PurchaseState,
    router: Router,
    top_ups: Value,
    unreadable: Value,
    delivered: Delivered,
    seen: Mutex<usize>,
}

impl Rules {
    pub(crate) fn new(state: PurchaseState, delivered: Delivered) -> Result<Self, engine::Failure> {
        let [top_ups, unreadable] = [TOP_UPS, UNREADABLE].map(pattern::of_template);
        let (top_ups, unreadable) = (top_ups?, unreadable?);
        let router = serve::with_middleware(purchase::routes(state.clone()));
        Ok(Self { state, router, top_ups, unreadable, delivered, seen: Mutex::default() })
    }

    /// Sends the next event that matches a rule to its target. Returns the event as an error if the
    /// function failed or if the target is the queue; `None` if no event is left.
    pub(crate) async fn follow_one(&self) -> Option<Result<(), Value>> {
        let mut seen = self.seen.lock().await;
        for event in self.delivered.after(*seen) {
            let followed = self.follow(event).await;
            *seen = seen.saturating_add(1);
            if followed.is_some() {
                return followed;
            }
        }
        None
    }

    async fn follow(&self, event: Value) -> Option<Result<(), Value>> {
        if matches(&self.top_ups, &event) {
            return Some(self.send(event).await);
        }
        matches(&self.unreadable, &event).then_some(Err(event))
    }

    async fn send(&self, event: Value) -> Result<(), Value> {
        for _ in 0..ATTEMPTS_MAX {
            match self.invoke(&event).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::error!(%error, "the target of a rule failed"),
            }
        }
        Err(event)
    }

    async fn invoke(&self, event: &Value) -> Result<(), lambda_http::Error> {
        let event = LambdaEvent::new(to_raw_value(event)?, Context::default());
        Box::pin(purchase::handle(&self.router, &self.state, event)).await.map(drop)
    }
}
