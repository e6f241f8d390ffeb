//! Sends what happened to other systems: reads the stream of the table and puts events on the bus. It
//! also keeps the statements of cycles that are over.

use aws_lambda_events::dynamodb::{Event as Batch, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use shared::aws::patience::within;
use shared::bus::Bus;
use shared::domain::Error;
use shared::domain::event::Event;
use shared::domain::record::{self, Place, Record};
use shared::domain::time::Time;
use shared::http::serve::time_left;
use shared::store::{Store, stream};

/// Sends the events of a batch of the stream's records, and keeps the statements of the cycles that
/// were over by them.
///
/// The answer names the records whose events may not have arrived or whose statements may not be kept,
/// and those that cannot be read, in the stream's order. The stream comes again from the first of them
/// on; all others were dealt with.
///
/// # Errors
/// [`Error::Internal`] for a record without a sequence number, which could not be named.
pub async fn handle(
    store: &Store,
    bus: &Bus,
    batch: LambdaEvent<Batch>,
) -> Result<DynamoDbEventResponse, lambda_runtime::Error> {
    let time = time_left(&batch.context);
    Ok(Box::pin(within(time, relay(store, bus, batch.payload.records))).await?)
}

async fn relay(
    store: &Store,
    bus: &Bus,
    records: Vec<EventRecord>,
) -> Result<DynamoDbEventResponse, Error> {
    let mut told = Vec::new();
    for mut record in records {
        let number = record.change.sequence_number.take();
        let number = number.ok_or_else(|| Error::internal("a record has no sequence number"))?;
        let events = deal_with(store, record, &number)
            .await
            .inspect_err(|error| tracing::error!(number, %error, "a record was not dealt with"));
        told.push((number, events));
    }
    let sent: Vec<Event> =
        told.iter().filter_map(|(_, events)| events.as_deref().ok()).flatten().cloned().collect();
    let left = bus.publish(&sent).await?;
    let mut response = DynamoDbEventResponse::default();
    for (number, events) in told {
        if !events.is_ok_and(|events| events.iter().all(|event| !left.contains(&event.id))) {
            response.batch_item_failures.push(failed(number));
        }
    }
    tracing::info!(sent = sent.len(), left = left.len(), "relay");
    Ok(response)
}

fn failed(number: String) -> DynamoDbBatchItemFailure {
    let mut failed = DynamoDbBatchItemFailure::default();
    failed.item_identifier = Some(number);
    failed
}

/// Keeps the statement that a record makes known, if it does. The events that tell of the record.
async fn deal_with(store: &Store, record: EventRecord, number: &str) -> Result<Vec<Event>, Error> {
    let at = Time::of_millisecond(record.change.approximate_creation_date_time.timestamp_millis());
    let Some(record) = read(record)? else { return Ok(Vec::new()) };
    if let Some(statement) = record::statement(&record) {
        store.keep(&statement).await?;
    }
    Ok(record::events(&record, Place { number, at }))
}

fn read(record: EventRecord) -> Result<Option<Record>, Error> {
    // Nothing of what events tell of is ever removed.
    if record.event_name == "REMOVE" {
        return Ok(None);
    }
    let (before, after) = (record.change.old_image, record.change.new_image);
    if after.is_empty() {
        return Err(Error::internal("a record has no new image"));
    }
    let before = (!before.is_empty()).then(|| before.into());
    stream::record(before, after.into())
}
