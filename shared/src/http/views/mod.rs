//! The JSON of answers, as types built from domain types. Stored types are never serialized into an answer,
//! so storage and contract change independently.

pub mod balance;
pub mod catalogue;
pub mod charge;
pub mod entry;
pub mod hold;
pub mod monitored_account;
pub mod purchase;
pub mod settings;
pub mod subscription;
pub mod usage;
