//! Round trips, capacity units and sizes.

mod bounds;
mod open_holds;
mod round_trips;
