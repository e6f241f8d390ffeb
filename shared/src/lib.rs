//! The code that the functions of the credits service share. Modules import downwards only: [`domain`]
//! (pure rules), [`aws`] (SDK clients and retries), [`store`] (DynamoDB) and [`bus`] (EventBridge),
//! [`lambda`] (invocations), [`http`] (the HTTP API).
//!
#![doc = include_str!("../docs/ARCHITECTURE.md")]
#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests compute with small numbers")
)]

pub mod aws;
pub mod bus;
pub mod domain;
pub mod http;
pub mod lambda;
pub mod store;
