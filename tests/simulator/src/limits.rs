//! What a partition takes in a second.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// What is left of a second's allowance when it was not used, at most.
const SAVED: Duration = Duration::from_secs(1);

/// What one write unit takes of a partition's second, of 1,000.
pub(crate) const WRITE_UNIT: Duration = Duration::from_millis(1);

/// What one read unit takes of a partition's second, of 3,000.
pub(crate) const READ_UNIT: Duration = Duration::from_nanos(333_333);

/// The allowances of all partitions for one kind of request. Each is the instant up to which it has
/// been used.
#[derive(Debug, Default)]
pub(crate) struct Allowances(HashMap<String, Instant>);

impl Allowances {
    /// Whether a partition takes another request now.
    pub(crate) fn has_room(&self, partition: &str) -> bool {
        self.0.get(partition).is_none_or(|used| *used <= Instant::now())
    }

    /// Uses a partition for so long.
    pub(crate) fn take(&mut self, partition: String, time: Duration) {
        let now = Instant::now();
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        let used = self.0.entry(partition).or_insert(earliest);
        *used = (*used).max(earliest).checked_add(time).unwrap_or(now);
    }
}
