//! The refused charge that a pool stores.

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::time::Time;

/// A charge that the pool did not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When it was refused.
    pub at: Time,
    /// What was to be charged.
    pub action: String,
    /// What it would have cost.
    pub required: Credits,
}
