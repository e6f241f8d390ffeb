//! The rules of credits: pure functions over plain values. No I/O, no clock, no AWS type.
//! Whatever depends on the time takes `now` as an argument.

pub mod account;
pub mod catalogue;
pub mod change;
pub mod charge;
pub mod credits;
pub mod cycle;
pub mod entry;
pub mod error;
pub mod event;
pub mod forecast;
pub mod hold;
pub mod ids;
pub mod lane;
pub mod owed;
pub mod plans;
pub mod pool;
pub mod projection;
pub mod purchase;
pub mod record;
pub mod settings;
pub mod shortage;
pub mod statement;
pub mod subscription;
pub mod time;
pub mod top_up;
pub mod usage;

pub use credits::Credits;
pub use error::{Error, FieldError};
