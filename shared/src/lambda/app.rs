//! The state that all handlers of a function share.

use super::{Allowance, ClaimNames, Clock};
use crate::aws::connect::Missing;
use crate::store::Store;

/// The state that all handlers of a function share. Clones share the store and the allowance.
#[derive(Clone, Debug)]
pub struct App {
    /// The credits table.
    pub store: Store,
    /// The source of `now`.
    pub clock: Clock,
    /// The names of the claims in tokens.
    pub claims: ClaimNames,
    /// The limit on a person's requests that cost no credits.
    pub allowance: Allowance,
}

impl App {
    /// An app with the default claim names and a full allowance.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, claims: ClaimNames::default(), allowance: Allowance::default() }
    }

    /// An app with the table and the claim names from the environment, and the system clock.
    ///
    /// # Errors
    /// [`Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        let app = Self::new(Store::from_env()?, Clock::system());
        Ok(Self { claims: ClaimNames::from_env(), ..app })
    }
}
