//! The totals of the current cycle, except for charges.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;

/// What came and went in a cycle besides what was charged, as the pool counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// Counts the cycles of the team, and the times between them.
    pub number: u64,
    /// The day on which they began to be counted; `None` before the first cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
    /// The free credits that were kept from the cycle before, as a plan that grants once does.
    pub kept: Credits,
    /// The free credits that were granted.
    pub granted: Credits,
    /// The credits that were bought.
    pub bought: Credits,
    /// The credits that support staff gave.
    pub gifted: Credits,
    /// The free credits that lapsed because a hold of an earlier cycle gave them back too late.
    pub expired: Credits,
}
