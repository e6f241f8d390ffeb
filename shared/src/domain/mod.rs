//! The rules of credits: pure functions over plain values. No I/O, no clock, no AWS type.
//! A function that depends on the time takes `now` as an argument.
//!
//! Imports between these files form no cycle; a test checks it.

pub mod catalogue;
pub mod charge;
pub mod credits;
pub mod error;
pub mod estimate;
pub mod event;
pub mod hold;
pub mod ids;
pub mod lane;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod monitored_account;
pub mod payment;
pub mod pool;
pub mod projection;
pub mod purchase;
pub mod settings;
pub mod statement;
pub mod subscription;
pub mod time;
pub mod top_up;

pub use credits::Credits;
pub use error::{Error, FieldError, Resource};
