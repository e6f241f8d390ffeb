//! Concurrent clients of one team.

mod charges;
mod coalescing;
mod cycle_end;
mod enrichment;
mod holds;
mod lanes;
mod team_changes;
