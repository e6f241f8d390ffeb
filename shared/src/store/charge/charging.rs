//! A group of charges between its attempts.

use super::admission::Admission;
use crate::domain::ids::Id;
use crate::domain::ledger::entry::Entry;
use crate::store::operation::Operation;

/// A group of charges between its attempts.
pub(super) struct Charging {
    pub(super) hold: Option<Id>,
    pub(super) admission: Admission,
    pub(super) operation: Operation,
    /// Whether a write of the pool met a conflict.
    pub(super) has_met_conflict: bool,
    /// The number of reads of a marked pool.
    pub(super) change_mark_reads: u32,
    /// The pause of enrichment in which the paying hold was taken, once that pause has ended.
    pub(super) ended_pause: Option<u64>,
}

impl Charging {
    pub(super) fn new(hold: Option<Id>, charges: Vec<Entry>, operation: Operation) -> Self {
        Self {
            hold,
            admission: Admission::of(charges),
            operation,
            has_met_conflict: false,
            change_mark_reads: 0,
            ended_pause: None,
        }
    }
}
