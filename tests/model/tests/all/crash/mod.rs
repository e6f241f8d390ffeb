//! Processes that stop at any await, calls that fail, clocks that differ.

mod billing_messages;
mod schedule;
mod seeds;
mod top_ups;
