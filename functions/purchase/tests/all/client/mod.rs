//! The client of Stripe's API.

mod failures;
pub mod fixtures;
mod objects;
mod requests;
mod secret;
mod signature;
