//! The throughput of a partition.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The maximum of unused throughput that is saved.
const SAVED: Duration = Duration::from_secs(1);

/// The time that one write unit takes of a partition with 1,000 units per second.
pub(crate) const WRITE_UNIT: Duration = Duration::from_millis(1);

/// The time that one read unit takes of a partition with 3,000 units per second.
pub(crate) const READ_UNIT: Duration = Duration::from_nanos(333_333);

/// The throughput used by partition, for one kind of request: the instant up to which it is used.
#[derive(Debug, Default)]
pub(crate) struct Allowances(HashMap<String, Instant>);

impl Allowances {
    /// Whether a partition accepts another request now.
    pub(crate) fn has_room(&self, partition: &str) -> bool {
        self.0.get(partition).is_none_or(|used| *used <= Instant::now())
    }

    /// Uses the throughput of a partition for `time`.
    pub(crate) fn take(&mut self, partition: String, time: Duration) {
        let now = Instant::now();
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        let used = self.0.entry(partition).or_insert(earliest);
        *used = (*used).max(earliest).checked_add(time).unwrap_or(now);
    }
}
