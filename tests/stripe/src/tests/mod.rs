//! Tests of the account by its requests, its pages and its events.

mod amounts;
mod checkout;
mod connector;
mod customers;
mod dashboard;
mod idempotency;
mod intents;
mod portal;
mod processing;
mod refusals;
mod steps;
