//! The reference, random operations and helpers.

pub mod domain_team;
pub mod lanes;
pub mod messages;
pub mod operations;
pub mod payments;
pub mod process;
pub mod reference;
pub mod relay;
pub mod sources;
pub mod stored_team;
pub mod strategies;
pub mod team_changes;
pub mod teams;
pub mod views;
pub mod year;
