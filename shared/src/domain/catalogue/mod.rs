//! The prices of actions and the grants of plans.

pub mod plans;
pub mod prices;
