//! The rules of the bus in the template: one brings events to a function of the stack itself,
//! `purchase`, the other brings unreadable records to a queue.

use axum::Router;
use lambda_http::{Context, LambdaEvent, tracing};
use purchase::PurchaseState;
use serde_json::Value;
use serde_json::value::to_raw_value;
use shared::http::serve;
use tokio::sync::Mutex;

use crate::eventbridge::Delivered;
use crate::pattern::{self, fits};

/// The rule that brings automatic top-ups to `purchase`.
const TOP_UPS: &str = "/Resources/Purchase/Properties/Events/TopUp/Properties/Pattern";

/// The rule that brings unreadable records to their queue.
const UNREADABLE: &str = "/Resources/UnreadableRecordsRule/Properties/EventPattern";

/// How often an event is tried, as Lambda does for an invocation that nobody waits for.
const ATTEMPTS: u32 = 3;

/// The rules and the function that is a target.
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

    /// Brings the next event that fits to its target. Returns the event as an error if the function
    /// failed or if the target is the queue; `None` if no event is left.
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
        if fits(&self.top_ups, &event) {
            return Some(self.bring(event).await);
        }
        fits(&self.unreadable, &event).then_some(Err(event))
    }

    async fn bring(&self, event: Value) -> Result<(), Value> {
        for _ in 0..ATTEMPTS {
            match self.invoke(&event).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::error!(%error, "a rule's target"),
            }
        }
        Err(event)
    }

    async fn invoke(&self, event: &Value) -> Result<(), lambda_http::Error> {
        let event = LambdaEvent::new(to_raw_value(event)?, Context::default());
        Box::pin(purchase::handle(&self.router, &self.state, event)).await.map(drop)
    }
}
