//! Events as `PutEvents` takes them, and as many of them as it takes at once.

use aws_sdk_eventbridge::primitives::DateTime;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use crate::domain::Error;
use crate::domain::event::{Event, SOURCE};
use crate::domain::ids::Id;

/// The most entries of one call.
const MAX_ENTRIES: usize = 10;

/// The most bytes of one call; the limit is 256 KB.
const MAX_BYTES: usize = 256_000;

/// What the time of an entry counts for, in bytes.
const TIME: usize = 14;

/// An event that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// The event's.
    pub(super) id: Id,
    pub(super) entry: PutEventsRequestEntry,
    /// How many bytes it counts for.
    size: usize,
}

impl Parcel {
    /// # Errors
    /// [`Error::Internal`] for an event that cannot be written as JSON.
    pub(super) fn new(bus: &str, event: &Event) -> Result<Self, Error> {
        let detail = serde_json::to_string(event).map_err(Error::internal)?;
        let kind = event.detail.kind();
        let size = [SOURCE.len(), kind.len(), detail.len()].iter().sum::<usize>();
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(bus)
            .source(SOURCE)
            .detail_type(kind)
            .time(DateTime::from_millis(event.at.timestamp().as_millisecond()))
            .detail(detail)
            .build();
        Ok(Self { id: event.id.clone(), entry, size: size.saturating_add(TIME) })
    }
}

/// The same in batches that can be sent. Who is too large for any has one of its own, so that only
/// it is refused.
pub(super) fn in_batches(parcels: Vec<Parcel>) -> Vec<Vec<Parcel>> {
    let mut batches: Vec<Vec<Parcel>> = Vec::new();
    let mut size = 0_usize;
    for parcel in parcels {
        size = size.saturating_add(parcel.size);
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_ENTRIES && size <= MAX_BYTES => batch.push(parcel),
            Some(_) | None => {
                size = parcel.size;
                batches.push(vec![parcel]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(sizes: &[usize]) -> Vec<usize> {
        let team = "t".parse().unwrap();
        let parcel = |size: &usize| Parcel {
            id: Id::of("ev", &team, ""),
            entry: PutEventsRequestEntry::builder().build(),
            size: *size,
        };
        in_batches(sizes.iter().map(parcel).collect()).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_batch_has_ten_events_and_256_kb_at_most() {
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[300; 21]), [10, 10, 1]);
        assert_eq!(sizes(&[128_000, 128_000, 1, 300_000, 1, 1]), [2, 1, 1, 2]);
    }
}
