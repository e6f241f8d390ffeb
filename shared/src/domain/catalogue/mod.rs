//! What actions cost and what plans grant.

pub mod plans;
pub mod prices;
