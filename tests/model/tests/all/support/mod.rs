//! The reference, the operations on it, and helpers of the tests.

pub mod domain_team;
pub mod operations;
pub mod reference;
pub mod relay;
pub mod stored_team;
pub mod year;
