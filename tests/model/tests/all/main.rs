//! One executable for all tests of the package, because linking takes long.

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
mod concurrency;
mod cost;
mod crash;
mod properties;
mod support;
