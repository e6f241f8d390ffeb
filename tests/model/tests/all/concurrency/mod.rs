//! Many clients of one team at the same time.

mod charges;
mod coalescing;
mod cycle_end;
mod enrichment;
mod lanes;
mod team_changes;
