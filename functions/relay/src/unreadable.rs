//! Messages for records that the relay cannot process. A rule of the template selects them by their source
//! and sends them to a queue.

use serde_json::{Value, json};
use shared::bus::Message;
use shared::domain::Error;

use crate::sequence_number;

/// The source of these messages. Events for other systems have another source.
pub const SOURCE: &str = "credits.relay";

/// The detail type of these messages.
pub const KIND: &str = "record.unreadable";

/// The most characters of an error's text, which may quote an attribute of any length.
const ERROR_CHARS_MAX: usize = 1_000;

/// The message of an unreadable record; without its images if it would be too large with them.
pub(crate) fn message(record: &Value, error: &Error) -> Message {
    let number = sequence_number(record);
    let error: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
    tracing::error!(number, error, "a record is unreadable");
    let message = |record: &Value| Message {
        source: SOURCE,
        kind: KIND,
        at: None,
        detail: json!({
            "sequence_number": number,
            "keys": record.pointer("/dynamodb/Keys"),
            "error": error,
            "record": record,
        })
        .to_string(),
    };
    let complete = message(record);
    if complete.is_too_large() { message(&without_images(record.clone())) } else { complete }
}

fn without_images(mut record: Value) -> Value {
    if let Some(change) = record.get_mut("dynamodb").and_then(Value::as_object_mut) {
        change.retain(|name, _| !["OldImage", "NewImage"].contains(&name.as_str()));
    }
    record
}
