//! The totals of the current cycle other than charges.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;

/// The credits of a cycle that were granted, purchased, gifted or lapsed; charges are in
/// [`Usage`](super::usage::Usage).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleTotals {
    /// The number of cycles of the team so far; the time between two subscriptions counts as one.
    pub number: u64,
    /// The day on which these totals start; `None` before the first cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Date>,
    /// The free credits kept from the previous cycle, as with a one-time grant.
    pub kept: Credits,
    /// The free credits granted.
    pub granted: Credits,
    /// The credits purchased.
    #[serde(rename = "bought")]
    pub purchased: Credits,
    /// Their price in cents. The short name keeps the pool small.
    #[serde(rename = "cents", default, skip_serializing_if = "is_zero")]
    pub purchased_cents: u64,
    /// The credits gifted.
    pub gifted: Credits,
    /// The free credits of earlier cycles that lapsed when a hold returned them in this one.
    pub expired: Credits,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(cents: &u64) -> bool {
    *cents == 0
}
