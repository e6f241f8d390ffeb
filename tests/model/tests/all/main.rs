//! One binary for all of them, because linking is what takes long.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at what it did not expect"
)]

mod architecture;
mod bounds;
mod busy_team;
mod coalescing;
mod concurrency;
mod cost;
mod domain;
mod history;
mod lanes;
mod many_holds;
mod messages;
mod operation;
mod reference;
mod relay;
mod running_out;
mod schedule;
mod seeds;
mod store;
mod top_up;
mod turn;
mod versions;
mod year;
