//! Reads the stream of the table: sends events to other systems, and stores the statements of ended cycles.

pub mod unreadable;

use std::collections::BTreeSet;

use aws_lambda_events::dynamodb::EventRecord;
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;
use shared::bus::{Bus, Message};
use shared::domain::Error;
use shared::domain::event::derive::{self, Place};
use shared::domain::statement::Statement;
use shared::domain::time::Time;
use shared::lambda::deadline::within_deadline;
use shared::store::{Store, stream};

/// A batch of records of the stream. Records are parsed one by one, so a malformed record does not fail the
/// batch.
#[derive(Clone, Debug, Deserialize)]
pub struct StreamRecords {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

/// Sends the events of a batch and stores its statements. Sends unreadable records to a queue.
///
/// Returns the records whose messages the bus may not have accepted, or whose statements the store was too
/// busy to store, in the order of the stream. Lambda invokes the relay again with the records from the
/// first of them on.
///
/// # Errors
/// [`Error::Internal`] if one of these records has no sequence number: Lambda sends the batch again.
pub async fn handle(
    store: &Store,
    bus: &Bus,
    batch: LambdaEvent<StreamRecords>,
) -> Result<DynamoDbEventResponse, lambda_runtime::Error> {
    let relayed = Box::pin(relay(store, bus, &batch.payload.records));
    Ok(within_deadline(&batch.context, relayed).await?)
}

async fn relay(
    store: &Store,
    bus: &Bus,
    records: &[Value],
) -> Result<DynamoDbEventResponse, Error> {
    let (mut messages, mut failed) = (Vec::new(), BTreeSet::new());
    for (position, record) in records.iter().enumerate() {
        match process(store, record).await {
            Ok(of_record) => {
                messages.extend(of_record.into_iter().map(|message| (position, message)));
            }
            Err(error) => {
                tracing::error!(number = sequence_number(record), %error, "storing a statement failed");
                failed.insert(position);
            }
        }
    }
    failed.append(&mut bus.publish(messages).await);
    tracing::info!(records = records.len(), failed = failed.len(), "records were relayed");
    let failed = failed.into_iter().filter_map(|position| records.get(position));
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures = failed.map(failure).collect::<Result<_, _>>()?;
    Ok(response)
}

/// Stores the statement of a record, if it has one. Returns the messages of the record.
///
/// A statement that the store can never accept does not block the stream: the record is sent to the queue
/// like an unreadable one. Its images determine the statement.
///
/// # Errors
/// [`Error::Busy`] if the store was too busy to store the statement.
async fn process(store: &Store, record: &Value) -> Result<Vec<Message>, Error> {
    let (mut messages, statement) = match read(record) {
        Ok(read) => read,
        Err(error) => return Ok(vec![unreadable::message(record, &error)]),
    };
    if let Some(statement) = statement {
        match store.statement_put(&statement).await {
            Err(error @ Error::Internal(_)) => messages.push(unreadable::message(record, &error)),
            kept => kept?,
        }
    }
    Ok(messages)
}

/// The messages of a record, and the statement of the cycle that it ended.
fn read(record: &Value) -> Result<(Vec<Message>, Option<Statement>), Error> {
    let EventRecord { event_name, change, .. } =
        EventRecord::deserialize(record).map_err(Error::internal)?;
    // A removal has no events.
    if event_name == "REMOVE" {
        return Ok((Vec::new(), None));
    }
    let number = change.sequence_number.as_deref();
    let number = number.ok_or_else(|| Error::internal("the record has no sequence number"))?;
    let at = Time::of_millisecond(change.approximate_creation_date_time.timestamp_millis());
    let (before, after) = (change.old_image, change.new_image);
    if after.is_empty() {
        return Err(Error::internal("the record has no new image"));
    }
    let before = (!before.is_empty()).then(|| before.into());
    let Some(record) = stream::record(before, after.into())? else {
        return Ok((Vec::new(), None));
    };
    let events = derive::events(&record, Place { number, at })?;
    let messages = events.iter().map(Message::event).collect::<Result<_, _>>()?;
    Ok((messages, derive::statement(&record)?))
}

fn failure(record: &Value) -> Result<DynamoDbBatchItemFailure, Error> {
    let number = sequence_number(record);
    let number = number.ok_or_else(|| Error::internal("a failed record has no sequence number"))?;
    let mut failure = DynamoDbBatchItemFailure::default();
    failure.item_identifier = Some(number.to_owned());
    Ok(failure)
}

fn sequence_number(record: &Value) -> Option<&str> {
    record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str)
}
