//! Everything that the credits functions have in common, in floors that import downwards only:
//! [`domain`] (pure rules) below [`aws`] (what all calls have in common) below [`store`] (DynamoDB)
//! and [`bus`] (EventBridge) below [`http`] (identity, problems).

#![cfg_attr(
    test,
    allow(clippy::arithmetic_side_effects, reason = "tests compute with small numbers")
)]

pub mod aws;
pub mod bus;
pub mod domain;
pub mod http;
pub mod store;
