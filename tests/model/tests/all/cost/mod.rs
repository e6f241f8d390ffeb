//! Round trips, capacity units and sizes.

pub mod bounds;
pub mod open_holds;
pub mod round_trips;
