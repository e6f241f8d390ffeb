//! The JSON of answers, as types built from domain types. Stored structs are never serialized into an answer, except for
//! amounts of money; small enums such as a status have one form for both.

pub mod balance;
pub mod catalogue;
pub mod charge;
pub mod enrichment;
pub mod entry;
pub mod estimate;
pub mod health;
pub mod hold;
pub mod monitored_account;
pub mod purchase;
pub mod settings;
pub mod subscription;
pub mod usage;
