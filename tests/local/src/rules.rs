//! The rule of the bus in the template that brings events to a function of the stack itself, `purchase`.
//! What that does not take is tried again and then given up.

use lambda_http::{Context, LambdaEvent, tracing};
use purchase::Till;
use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::sync::Mutex;

use crate::eventbridge::Delivered;
use crate::pattern::{self, fits};

/// The rule that brings automatic top-ups to `purchase`.
const TOP_UPS: &str = "/Resources/Purchase/Properties/Events/TopUp/Properties/Pattern";

/// How often an event is tried, as Lambda does for an invocation that nobody waits for.
const ATTEMPTS: u32 = 3;

/// The rule and its target.
#[derive(Debug)]
pub(crate) struct Rules {
    till: Till,
    pattern: Value,
    delivered: Delivered,
    seen: Mutex<usize>,
}

impl Rules {
    pub(crate) fn new(till: Till, delivered: Delivered) -> Result<Self, engine::Failure> {
        let pattern = pattern::of_template(TOP_UPS)?;
        Ok(Self { till, pattern, delivered, seen: Mutex::default() })
    }

    /// Brings the next event that fits to its target; the event if it had to be given up. `None` if
    /// there is none.
    pub(crate) async fn follow_one(&self) -> Option<Result<(), Value>> {
        let mut seen = self.seen.lock().await;
        for event in self.delivered.after(*seen) {
            let is_wanted = fits(&self.pattern, &event);
            let followed = if is_wanted { self.bring(event).await } else { Ok(()) };
            *seen = seen.saturating_add(1);
            if is_wanted {
                return Some(followed);
            }
        }
        None
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
        Box::pin(purchase::handle(&self.till, event)).await.map(drop)
    }
}
