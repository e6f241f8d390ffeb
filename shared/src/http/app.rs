//! What every function's handlers share.

use std::env::var;
use std::fmt;
use std::num::ParseIntError;
use std::sync::Arc;

use axum::extract::FromRef;

use crate::domain::ids::{Id, TeamId};
use crate::domain::limits::PURCHASE_CREDITS_MAX;
use crate::domain::limits::PurchaseLimits;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};
use crate::store::Store;

use super::identity::ClaimNames;
use super::{Allowance, Caller};

/// The table, the time, and how tokens name things.
#[derive(Clone, Debug, FromRef)]
pub struct App {
    /// The credits table.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The names of the claims in tokens.
    pub claims: ClaimNames,
    /// The limit on requests of people that cost nothing.
    pub allowance: Allowance,
}

impl App {
    /// With the standard names of claims.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, claims: ClaimNames::default(), allowance: Allowance::default() }
    }

    /// A function's own: the table and the claims from its environment, the system's time.
    ///
    /// # Errors
    /// [`crate::aws::connect::Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, crate::aws::connect::Missing> {
        let app = Self::new(Store::from_env()?, Clock::system());
        Ok(Self { claims: ClaimNames::from_env(), ..app })
    }

    /// Takes a request that costs the team nothing out of its caller's allowance. Machine clients are not
    /// limited.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn take_allowance(&self, caller: &Caller, team: &TeamId) -> Result<(), Error> {
        if caller.is_machine() { Ok(()) } else { self.allowance.take(team, &caller.sub) }
    }

    /// Whether the caller may capture from a hold and release it. A hold never changes its owner, and
    /// an unknown one is refused, so that it cannot become another caller's meanwhile.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; for a person [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn check_hold(&self, caller: &Caller, team: &TeamId, hold: &Id) -> Result<(), Error> {
        if caller.is_machine() {
            return Ok(());
        }
        caller.may_use_hold(&self.store.hold_entry_read(team, hold).await?)
    }
}

/// What can be bought, as `PURCHASE_MINIMUM`, `PURCHASE_MAXIMUM` (credits) and `PURCHASE_PRESETS`
/// (credits, separated by commas) say; what is not set has its default.
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

/// The limits of purchases are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLimits {
    /// One of them is no number.
    #[error("PURCHASE_MINIMUM, PURCHASE_MAXIMUM and PURCHASE_PRESETS must be numbers: {0}")]
    Number(#[from] ParseIntError),
    /// They let nothing be bought, or too much.
    #[error(
        "PURCHASE_MINIMUM must be 1 to PURCHASE_MAXIMUM, which must be at most {PURCHASE_CREDITS_MAX}"
    )]
    Range,
    /// One of the amounts to offer cannot be bought.
    #[error("PURCHASE_PRESETS must be PURCHASE_MINIMUM to PURCHASE_MAXIMUM")]
    Presets,
}

fn credits(text: &str) -> Result<Credits, ParseIntError> {
    text.trim().parse().map(Credits::new)
}

/// Where the handlers get `now` from; everything below takes it as an argument.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Time + Send + Sync>);

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| jiff::Timestamp::now().into())
    }

    /// A clock of another kind.
    pub fn new(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
