//! The whole over HTTP: the routers that the Lambda binaries serve, on the local stack.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod allowance;
mod billing_messages;
mod budget;
mod callers;
mod catalogue;
mod charges;
mod enrichment;
mod faults;
mod gateway;
mod history;
mod holds;
mod key_spaces;
mod known_bugs;
mod monitored_accounts;
mod outgoing_events;
mod random_requests;
mod refills;
mod regressions;
mod samples;
mod subscriptions;
mod support;
mod template;
mod top_ups;
mod usage;
mod validation;
