//! Many clients of one team at the same time.

pub mod charges;
pub mod coalescing;
pub mod cycle_end;
pub mod enrichment;
pub mod lanes;
pub mod team_changes;
