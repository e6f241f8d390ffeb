//! Charges from a queue. Each message has the form of a direct invocation.

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};
use shared::bus::{Bus, Message};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Entry;
use shared::http::Problem;
use shared::lambda::App;
use shared::store::entry::EntryResult;

use crate::direct::addressed;
use crate::refusal::{Asked, log_refusal};

/// The number of teams that are charged concurrently.
const TEAMS_MAX: usize = 8;

/// After this many deliveries the queue moves a message to its dead-letter queue.
pub const DELIVERIES_MAX: u64 = 5;

/// The source of refused charges on the event bus. A rule sends them to the dead-letter queue.
pub const SOURCE: &str = "credits.charge";

/// The detail type of refused charges.
pub const KIND: &str = "charge.refused";

/// The field of a refused charge with the problem.
const REFUSED: &str = "refused";

/// A refused message.
struct Refusal {
    message: SqsMessage,
    error: Error,
}

/// Charges all messages of a batch. The messages of one team are charged together and in order.
///
/// A refused message is reported as failed, and the queue delivers it again. A charge that is refused at
/// the last delivery is sent to the dead-letter queue through the bus, with its problem.
///
/// # Errors
/// [`Error::Internal`] for a message without an id: it cannot be reported.
pub async fn charge_queued(
    app: &App,
    bus: &Bus,
    event: SqsEvent,
) -> Result<SqsBatchResponse, Error> {
    let now = app.clock.now();
    let mut refused = Vec::new();
    let mut teams: HashMap<TeamId, Vec<(SqsMessage, Entry)>> = HashMap::new();
    for message in event.records {
        if message.message_id.is_none() {
            return Err(Error::internal("a message has no id"));
        }
        match addressed(&without_problem(&message), app.prices(now), now) {
            Ok(entry) => teams.entry(entry.team.clone()).or_default().push((message, entry)),
            Err(unpriced) => {
                let asked = unpriced.asked();
                refused.extend(refusal(message, asked.as_ref(), unpriced.result(app).await));
            }
        }
    }
    let of_teams = stream::iter(teams).map(async |(team, messages)| {
        let asked: Vec<Asked> = messages.iter().map(|(_, entry)| Asked::from(entry)).collect();
        let (messages, entries): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let results = app.store.charge(&team, entries, now).await;
        let answered = messages.into_iter().zip(asked).zip(results);
        let refused = |((message, asked), result)| refusal(message, Some(&asked), result);
        answered.filter_map(refused).collect::<Vec<_>>()
    });
    let of_teams: Vec<_> = of_teams.buffer_unordered(TEAMS_MAX).collect().await;
    refused.extend(of_teams.into_iter().flatten());
    Ok(report(bus, refused).await)
}

/// The refusal of a message, after it is logged; `None` if the message was charged.
fn refusal(message: SqsMessage, asked: Option<&Asked>, result: EntryResult) -> Option<Refusal> {
    match result {
        EntryResult::Refused(error) => {
            log_refusal(asked, &error);
            Some(Refusal { message, error })
        }
        EntryResult::Created(_) | EntryResult::Replayed(_) => None,
    }
}

/// Sends final refusals to the bus. Reports the others, and those that the bus did not accept, as failed.
async fn report(bus: &Bus, refused: Vec<Refusal>) -> SqsBatchResponse {
    let last = refused.iter().enumerate().filter(|(_, refusal)| refusal.is_final());
    let messages = last.map(|(number, refusal)| (number, refusal.with_problem()));
    let messages: Vec<(usize, Message)> =
        messages.filter(|(_, message)| !message.is_too_large()).collect();
    let sent: Vec<usize> = messages.iter().map(|(number, _)| *number).collect();
    let not_taken = bus.publish(messages).await;
    let mut response = SqsBatchResponse::default();
    for (number, refusal) in refused.into_iter().enumerate() {
        if !sent.contains(&number) || not_taken.contains(&number) {
            response.add_failure(refusal.message.message_id.unwrap_or_default());
        }
    }
    response
}

impl Refusal {
    /// Whether this is the last delivery of the message and a retry cannot succeed.
    fn is_final(&self) -> bool {
        let deliveries = self.message.attributes.get("ApproximateReceiveCount");
        let deliveries = deliveries.and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
        deliveries >= DELIVERIES_MAX && !self.error.is_retryable()
    }

    /// The message for the bus: the charge with its problem in the field [`REFUSED`].
    fn with_problem(&self) -> Message {
        let body = self.message.body.clone().unwrap_or_default();
        let charge: Option<Map<String, Value>> = serde_json::from_str(&body).ok();
        let mut charge =
            charge.unwrap_or_else(|| Map::from_iter([("body".to_owned(), json!(body))]));
        charge.insert(REFUSED.to_owned(), json!(Problem::from(&self.error)));
        let detail = Value::from(charge).to_string();
        Message { source: SOURCE, kind: KIND, at: None, detail }
    }
}

/// The charge in a message, without the problem that a message from the dead-letter queue has.
fn without_problem(message: &SqsMessage) -> Vec<u8> {
    let body = message.body.as_deref().unwrap_or_default();
    let is_redriven = body.contains(REFUSED);
    let charge: Option<Map<String, Value>> =
        is_redriven.then(|| serde_json::from_str(body).ok()).flatten();
    let charge = charge.and_then(|mut charge| charge.remove(REFUSED).map(|_| charge));
    charge.map_or_else(|| body.to_owned(), |charge| Value::from(charge).to_string()).into_bytes()
}
