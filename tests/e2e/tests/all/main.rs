//! End-to-end tests over HTTP: the routers of the Lambda binaries on the local stack.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod allowance;
mod answers;
mod balance;
mod billing_messages;
mod browsers;
mod callers;
mod catalogue;
mod catalogue_files;
mod catalogue_mistakes;
mod charges;
mod checkout;
mod contract;
mod enrichment;
mod estimates;
mod faults;
mod gateway;
mod gifts;
mod history;
mod holds;
mod images;
mod invocations;
mod monitored_accounts;
mod outgoing_events;
mod payment_methods;
mod purchases;
mod random_requests;
mod refills;
mod refusals;
mod regressions;
mod samples;
mod settings;
mod statements;
mod subscriptions;
mod support;
mod template;
mod top_ups;
mod usage;
mod validation;
mod webhooks;
