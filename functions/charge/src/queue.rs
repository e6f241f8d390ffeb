//! Charges that wait in a queue, each as a direct invocation would have it.

use std::collections::HashMap;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::{StreamExt, stream};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Entry;
use shared::http::App;
use shared::store::charge::Outcome;

use crate::direct::addressed;
use crate::refusal::{Asked, log_refusal};

/// How many teams are charged at a time.
const AT_ONCE: usize = 8;

/// Charges all of a batch, the messages of one team together and in their order.
///
/// Nobody reads an answer here. So whatever was not charged is reported as failed: the queue sends
/// it again, and in the end keeps it where somebody can look at it and send it once more.
///
/// # Errors
/// A message without an id, which could not be reported.
pub async fn charge_queued(app: &App, event: SqsEvent) -> Result<SqsBatchResponse, Error> {
    let now = app.clock.now();
    let mut failed = Vec::new();
    let mut teams: HashMap<TeamId, Vec<(String, Entry)>> = HashMap::new();
    for message in event.records {
        let id = message.message_id.ok_or_else(|| Error::internal("a message has no id"))?;
        match addressed(message.body.unwrap_or_default().as_bytes(), now) {
            Ok(entry) => teams.entry(entry.team.clone()).or_default().push((id, entry)),
            Err(unpriced) => {
                let asked = unpriced.asked();
                failed.extend(refused(id, asked.as_ref(), unpriced.outcome(app).await));
            }
        }
    }
    let refused = stream::iter(teams).map(async |(team, messages)| {
        let asked: Vec<Asked> = messages.iter().map(|(_, entry)| Asked::from(entry)).collect();
        let (ids, entries): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
        let outcomes = app.store.charge(&team, entries, now).await;
        let answered = ids.into_iter().zip(asked).zip(outcomes);
        let refused = |((id, asked), outcome)| refused(id, Some(&asked), outcome);
        answered.filter_map(refused).collect::<Vec<_>>()
    });
    let refused: Vec<_> = refused.buffer_unordered(AT_ONCE).collect().await;
    failed.extend(refused.into_iter().flatten());
    let mut response = SqsBatchResponse::default();
    for message in failed {
        response.add_failure(message);
    }
    Ok(response)
}

/// The id of a message that was refused, which is logged.
fn refused(id: String, asked: Option<&Asked>, outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Refused(error) => {
            log_refusal(asked, &error);
            Some(id)
        }
        Outcome::Charged(_) | Outcome::Replayed(_) => None,
    }
}
