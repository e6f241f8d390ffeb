//! The ledger: one entry for everything that a team gained or lost.

pub mod entry;
pub mod work;
