//! Processes that stop at any await, failed calls and different clocks.

mod billing_messages;
mod payments;
mod pending_purchases;
mod schedule;
mod seeds;
mod top_ups;
