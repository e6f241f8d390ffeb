//! The limits on amounts and counts in requests.

use serde::{Deserialize, Serialize};

use crate::domain::{Credits, Error};

/// The longest life of a hold, in seconds: 45 days.
pub const HOLD_SECONDS_MAX: u32 = 45 * 24 * 60 * 60;

/// The most credits of one hold.
pub const HOLD_CREDITS_MAX: Credits = Credits::new(1_000_000_000);

/// The most open holds of a team.
pub const OPEN_HOLDS_MAX: u64 = 1_000;

/// The most leads that size a hold or an estimate.
pub const LEADS_MAX: u64 = 1_000_000;

/// The most credits of one gift.
pub const GIFT_CREDITS_MAX: Credits = Credits::new(10_000_000);

/// The most credits of one purchase.
pub const PURCHASE_CREDITS_MAX: Credits = Credits::new(1_000_000_000);

/// The most cents of a recorded purchase. The sum of a cycle stays far below 2^53.
pub const RECORDED_CENTS_MAX: u64 = 1_000_000_000_000;

/// A pool with more credits than this accepts no purchase and no gift. So the amounts of the team,
/// credits in holds included, stay below [`Credits::MAX`].
pub const POOL_CREDITS_MAX: Credits = Credits::new(1_000_000_000_000_000);

/// The most seats of a team.
pub const SEATS_MAX: u32 = 100_000;

/// The most free credits that a subscription can fix as `included_credits`.
pub const INCLUDED_CREDITS_MAX: Credits = Credits::new(100_000_000);

/// The largest quantity of one charge: a million units, or a million seconds of a call.
pub const QUANTITY_MAX: u64 = 1_000_000;

/// The largest version of a change by the billing system: a signed 64-bit integer, which every client has.
pub const VERSION_MAX: u64 = i64::MAX.cast_unsigned();

/// The most charges of one request.
pub const BATCH_CHARGES_MAX: usize = 500;

/// The limits of one purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurchaseLimits {
    /// The fewest credits.
    pub minimum: Credits,
    /// The most credits.
    pub maximum: Credits,
    /// The amounts to offer, in credits.
    pub presets: Vec<Credits>,
}

impl PurchaseLimits {
    /// Checks the credits of a purchase.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they are below the minimum or above the maximum.
    pub fn check(&self, credits: Credits) -> Result<(), Error> {
        if (self.minimum..=self.maximum).contains(&credits) {
            return Ok(());
        }
        Err(Error::invalid("credits", format!("must be {} to {}", self.minimum, self.maximum)))
    }
}

/// Checks that a pool with `pool` credits accepts credits that roll over.
///
/// # Errors
/// [`Error::Invalid`] if it has more than [`POOL_CREDITS_MAX`].
pub fn check_room(pool: Credits) -> Result<(), Error> {
    if pool <= POOL_CREDITS_MAX {
        return Ok(());
    }
    Err(Error::invalid(
        "credits",
        format!("the team has {pool} credits and cannot add any above {POOL_CREDITS_MAX}"),
    ))
}
