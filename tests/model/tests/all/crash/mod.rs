//! Processes that stop at any await, calls that fail, clocks that differ.

pub mod billing_messages;
pub mod schedule;
pub mod seeds;
pub mod top_ups;
