//! The whole over HTTP: the routers that the Lambda binaries serve, on the local stack.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod accounts;
mod allowance;
mod api;
mod bad_input;
mod budget;
mod catalogue;
mod events;
mod gateway;
mod holds;
mod hostile;
mod identity;
mod key_spaces;
mod known_bugs;
mod messages;
mod outgoing;
mod problems;
mod reading;
mod regressions;
mod rules;
mod running_out;
mod subscriptions;
mod template;
mod top_up;
mod usage;
mod verbs;
