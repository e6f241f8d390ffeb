//! A group of charges between its attempts.

use super::admission::Admission;
use super::write::{ChargeWrite, Payer};
use crate::domain::Credits;
use crate::domain::ids::Id;
use crate::domain::ledger::entry::Entry;
use crate::store::dynamo::transaction::Cancelled;
use crate::store::operation::Operation;

/// A group of charges between its attempts.
pub(super) struct Charging {
    pub(super) hold: Option<Id>,
    pub(super) admission: Admission,
    pub(super) operation: Operation,
    /// Whether a write of the pool met a conflict.
    pub(super) has_met_conflict: bool,
    /// The number of reads of a marked pool.
    pub(super) marked_reads: u32,
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
            marked_reads: 0,
            ended_pause: None,
        }
    }
}

/// The end of an attempt to write everything admitted.
pub(super) enum Attempt {
    /// No write was sent: a change was made first, a refusal needs no write, or another process makes a change.
    NotMade,
    /// The write has succeeded.
    Written { payer: Payer, cost: Credits },
    /// A condition of the write does not hold.
    Cancelled { payer: Payer, write: ChargeWrite, cancelled: Cancelled },
}
