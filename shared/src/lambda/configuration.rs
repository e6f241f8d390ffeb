//! The parts of the configuration that come from environment variables and have defaults.

use std::env::var;
use std::num::ParseIntError;

use crate::domain::Credits;
use crate::domain::limits::{PURCHASE_CREDITS_MAX, PurchaseLimits};

/// The names of the claims in the product's tokens, and the prefix of its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The claim with a person's team.
    pub team: String,
    /// The claim with a person's role.
    pub role: String,
    /// The claim with a machine client's scopes.
    pub scope: String,
    /// The prefix of each scope. Cognito issues `resource-server/scope`.
    pub scope_prefix: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let [team, role, scope] = ["team", "role", "scope"].map(str::to_owned);
        Self { team, role, scope, scope_prefix: String::new() }
    }
}

impl ClaimNames {
    /// The names from `TEAM_CLAIM`, `ROLE_CLAIM`, `SCOPE_CLAIM` and `SCOPE_PREFIX`. A variable that is
    /// not set has its default.
    #[must_use]
    pub fn from_env() -> Self {
        let Self { team, role, scope, scope_prefix } = Self::default();
        Self {
            team: var("TEAM_CLAIM").unwrap_or(team),
            role: var("ROLE_CLAIM").unwrap_or(role),
            scope: var("SCOPE_CLAIM").unwrap_or(scope),
            scope_prefix: var("SCOPE_PREFIX").unwrap_or(scope_prefix),
        }
    }
}

/// The limits of one purchase from `PURCHASE_MINIMUM`, `PURCHASE_MAXIMUM` (credits) and
/// `PURCHASE_PRESETS` (credits, separated by commas). A variable that is not set has its default.
///
/// # Errors
/// [`InvalidLimits`].
pub fn purchase_limits() -> Result<PurchaseLimits, InvalidLimits> {
    let mut limits = PurchaseLimits::default();
    if let Ok(minimum) = var("PURCHASE_MINIMUM") {
        limits.minimum = credits(&minimum)?;
    }
    if let Ok(maximum) = var("PURCHASE_MAXIMUM") {
        limits.maximum = credits(&maximum)?;
    }
    if let Ok(presets) = var("PURCHASE_PRESETS") {
        limits.presets = presets.split(',').map(credits).collect::<Result<_, _>>()?;
    }
    if limits.minimum.is_zero()
        || limits.minimum > limits.maximum
        || limits.maximum > PURCHASE_CREDITS_MAX
    {
        return Err(InvalidLimits::Range);
    }
    if limits.presets.iter().any(|preset| limits.check(*preset).is_err()) {
        return Err(InvalidLimits::Presets);
    }
    Ok(limits)
}

/// A variable of [`purchase_limits`] is invalid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLimits {
    /// A variable is not a number.
    #[error("PURCHASE_MINIMUM, PURCHASE_MAXIMUM and PURCHASE_PRESETS must be numbers: {0}")]
    Number(#[from] ParseIntError),
    /// The minimum is 0 or above the maximum, or the maximum is above [`PURCHASE_CREDITS_MAX`].
    #[error(
        "PURCHASE_MINIMUM must be 1 to PURCHASE_MAXIMUM, which must be at most {PURCHASE_CREDITS_MAX}"
    )]
    Range,
    /// A preset is outside the minimum and the maximum.
    #[error("PURCHASE_PRESETS must be PURCHASE_MINIMUM to PURCHASE_MAXIMUM")]
    Presets,
}

fn credits(text: &str) -> Result<Credits, InvalidLimits> {
    let credits: u64 = text.trim().parse()?;
    credits.try_into().map_err(|_| InvalidLimits::Range)
}
