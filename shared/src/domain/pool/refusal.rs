//! A refused charge, as the pool stores it.

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::time::Time;

/// A charge that the pool's credits did not cover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRefusal {
    /// The time of the refusal.
    pub at: Time,
    /// The action.
    pub action: String,
    /// The cost in credits.
    pub required: Credits,
}
