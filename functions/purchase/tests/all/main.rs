//! The function with a simulated Stripe account, and its client of Stripe with scripted answers.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at what it did not expect"
)]

mod client;
mod flow;
mod support;
