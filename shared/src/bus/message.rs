//! Messages for `PutEvents`, and their batches.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::domain::Error;
use crate::domain::event::{Event, SOURCE};
use crate::domain::time::Time;

/// The most entries of one call.
const CALL_ENTRIES_MAX: usize = 10;

/// The most bytes of one call. The limit of `PutEvents` is 256 KB (262,144 bytes).
const CALL_BYTES_MAX: usize = 256_000;

/// The bytes that count for the time of an entry.
const TIME_BYTES: usize = 14;

/// A message for the bus.
#[derive(Clone, Debug)]
pub struct Message {
    /// The source, by which rules select messages.
    pub source: &'static str,
    /// The detail type.
    pub kind: &'static str,
    /// The time of the event; `None` for the time of arrival at the bus.
    pub at: Option<Time>,
    /// A JSON object.
    pub detail: String,
}

impl Message {
    /// The message of an event.
    ///
    /// # Errors
    /// [`Error::Internal`] if the event cannot be serialized.
    pub fn event(event: &Event) -> Result<Self, Error> {
        let detail = serde_json::to_string(event).map_err(Error::internal)?;
        Ok(Self { source: SOURCE, kind: event.detail.kind(), at: Some(event.at), detail })
    }

    /// Whether the message is too large for one call.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.bytes() > CALL_BYTES_MAX
    }

    fn bytes(&self) -> usize {
        let texts = [self.source, self.kind, &self.detail].map(str::len);
        texts.iter().sum::<usize>().saturating_add(TIME_BYTES)
    }

    pub(super) fn entry(&self, bus: &str) -> PutEventsRequestEntry {
        let time = self.at.map(|at| DateTime::from_millis(at.timestamp().as_millisecond()));
        PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(self.source)
            .detail_type(self.kind)
            .set_time(time)
            .detail(&self.detail)
            .build()
    }
}

/// A message with the number of the caller.
pub(super) type Numbered = (usize, Message);

/// The messages in batches of one call each. A message that is too large has its own batch, so that the bus
/// rejects no other message with it.
pub(super) fn in_batches(messages: Vec<Numbered>) -> Vec<Vec<Numbered>> {
    let mut batches: Vec<Vec<Numbered>> = Vec::new();
    let mut bytes = 0_usize;
    for (number, message) in messages {
        bytes = bytes.saturating_add(message.bytes());
        match batches.last_mut() {
            Some(batch) if batch.len() < CALL_ENTRIES_MAX && bytes <= CALL_BYTES_MAX => {
                batch.push((number, message));
            }
            Some(_) | None => {
                bytes = message.bytes();
                batches.push(vec![(number, message)]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Message {
        Message { source: "", kind: "", at: None, detail: " ".repeat(bytes - TIME_BYTES) }
    }

    fn batch_sizes(bytes: &[usize]) -> Vec<usize> {
        let messages = bytes.iter().map(|bytes| (0, message(*bytes))).collect();
        in_batches(messages).iter().map(Vec::len).collect()
    }

    #[test]
    fn limits_a_batch_to_ten_messages_and_256_kb() {
        assert_eq!(batch_sizes(&[]), [] as [usize; 0]);
        assert_eq!(batch_sizes(&[300; 21]), [10, 10, 1]);
        assert_eq!(batch_sizes(&[128_000, 128_000, 20, 300_000, 20, 20]), [2, 1, 1, 2]);
    }

    #[test]
    fn a_message_larger_than_a_call_is_too_large() {
        assert!(!message(256_000).is_too_large());
        assert!(message(256_001).is_too_large());
    }
}
