//! The figures of the benchmarks that are the same on every machine.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test panics on an unexpected result"
)]

mod contention;
mod schedule;
