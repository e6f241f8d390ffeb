//! The part of Lambda that invokes the relay: it reads the stream, applies the filter of the template,
//! invokes the function, and continues with the first record that the function reports as failed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use engine::Records;
use lambda_http::{Context, LambdaEvent, tracing};
use purchase::PurchaseState;
use serde_json::{Value, json};
use shared::bus::Bus;
use shared::lambda::App;
use tokio::sync::Mutex;
use tokio::time::interval;

use crate::eventbridge::EventBridge;
use crate::pattern::{self, matches};
use crate::rules::Rules;

/// The time between two reads of the stream.
const READ_EVERY: Duration = Duration::from_millis(200);

/// The records of one invocation.
const BATCH_MAX: usize = 100;

/// Attempts per record. Lambda tries a record until the stream trims it.
const ATTEMPTS_MAX: u32 = 3;

/// The path from the stream to the bus.
#[derive(Debug)]
pub(crate) struct Relaying {
    app: App,
    bus: Bus,
    patterns: Vec<Value>,
    rules: Rules,
    stream: Mutex<Stream>,
}

/// A record stays in `waiting` until it is relayed or given up, so a dropped call loses nothing.
#[derive(Debug)]
struct Stream {
    records: Records,
    waiting: VecDeque<Value>,
    /// Failed attempts of the first record in `waiting`.
    failures: u32,
    given_up: Vec<Value>,
}

impl Relaying {
    pub(crate) fn new(
        state: PurchaseState,
        records: Records,
        bus: &EventBridge,
    ) -> Result<Self, engine::Failure> {
        let (waiting, given_up) = (VecDeque::new(), Vec::new());
        let stream = Mutex::new(Stream { records, waiting, failures: 0, given_up });
        let (app, patterns) = (state.app.clone(), patterns()?);
        let rules = Rules::new(state, bus.delivered())?;
        Ok(Self { app, bus: bus.bus(), patterns, rules, stream })
    }

    /// Relays all records of the stream, and delivers the events by the rules of the bus. Returns the
    /// records and the events that were given up since the start.
    pub(crate) async fn catch_up(&self) -> Result<Vec<Value>, engine::Failure> {
        let mut stream = self.stream.lock().await;
        loop {
            while !stream.waiting.is_empty() {
                self.invoke(&mut stream).await;
            }
            let records = stream.records.read()?;
            if records.is_empty() {
                match self.rules.follow_one().await {
                    None => return Ok(stream.given_up.clone()),
                    Some(followed) => stream.given_up.extend(followed.err()),
                }
            }
            let wanted =
                |record: &Value| self.patterns.iter().any(|pattern| matches(pattern, record));
            let written = self.app.clock.now().timestamp().as_second();
            let dated = |mut record: Value| {
                // The engine uses the system's clock.
                if let Some(date) = record.pointer_mut("/dynamodb/ApproximateCreationDateTime") {
                    *date = json!(written);
                }
                record
            };
            stream.waiting.extend(records.into_iter().filter(wanted).map(dated));
        }
    }

    async fn invoke(&self, stream: &mut Stream) {
        let batch: Vec<&Value> = stream.waiting.iter().take(BATCH_MAX).collect();
        let size = batch.len();
        let first_failed = match self.relay(json!({ "Records": batch })).await {
            Ok(failed) => batch.iter().position(|record| has_number(record, &failed)),
            Err(error) => {
                tracing::error!(%error, "the relay failed");
                Some(0)
            }
        };
        stream.waiting.drain(..first_failed.unwrap_or(size));
        stream.failures = match first_failed {
            None => 0,
            Some(0) => stream.failures.saturating_add(1),
            Some(_) => 1,
        };
        if stream.failures >= ATTEMPTS_MAX {
            stream.given_up.extend(stream.waiting.pop_front());
            stream.failures = 0;
        }
    }

    /// Invokes the relay and returns the sequence numbers that it reports as failed.
    async fn relay(&self, batch: Value) -> Result<Vec<String>, lambda_http::Error> {
        let batch = LambdaEvent::new(serde_json::from_value(batch)?, Context::default());
        let answer = relay::handle(&self.app.store, &self.bus, batch).await?;
        let failures = answer.batch_item_failures.into_iter();
        Ok(failures.filter_map(|failure| failure.item_identifier).collect())
    }
}

fn has_number(record: &Value, numbers: &[String]) -> bool {
    let number = record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str);
    numbers.iter().any(|one| Some(one.as_str()) == number)
}

const FILTERS: &str = "/Resources/Relay/Properties/Events/Stream/Properties/FilterCriteria/Filters";

/// Returns the patterns of the template; a record that matches none does not invoke the relay.
fn patterns() -> Result<Vec<Value>, engine::Failure> {
    let invalid = |error| engine::Failure::Template(format!("the relay's filter: {error}"));
    let filters = pattern::of_template(FILTERS)?;
    let pattern = |filter: &Value| {
        let text = filter.get("Pattern").and_then(Value::as_str).unwrap_or_default();
        serde_json::from_str(text).map_err(invalid)
    };
    filters.as_array().into_iter().flatten().map(pattern).collect()
}

/// Relays new records until it is dropped.
pub(crate) async fn run(relaying: Arc<Relaying>) {
    let mut ticks = interval(READ_EVERY);
    loop {
        ticks.tick().await;
        if let Err(error) = relaying.catch_up().await {
            tracing::error!(%error, "the stream cannot be read");
        }
    }
}
