//! The state that all handlers of a function share.

use super::configuration::with_purchase_limits;
use super::{Allowance, ClaimNames, Clock};
use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::time::Time;
use crate::store::Store;

/// The state that all handlers of a function share. Clones share the store, the catalogue and the allowance.
#[derive(Clone, Debug)]
pub struct App {
    /// The credits table.
    pub store: Store,
    /// The source of `now`.
    pub clock: Clock,
    /// Prices and plans.
    pub catalogue: Catalogue,
    /// The names of the claims in tokens.
    pub claims: ClaimNames,
    /// The limit on a person's requests that cost no credits.
    pub allowance: Allowance,
}

impl App {
    /// An app with the default claim names and a full allowance.
    #[must_use]
    pub fn new(store: Store, clock: Clock, catalogue: Catalogue) -> Self {
        let (claims, allowance) = (ClaimNames::default(), Allowance::default());
        Self { store, clock, catalogue, claims, allowance }
    }

    /// An app with the table, the claim names and the limits of one purchase from the environment, the
    /// system clock and the built-in catalogue.
    ///
    /// # Errors
    /// A variable that is not set or invalid.
    pub fn from_env() -> Result<Self, lambda_http::Error> {
        let clock = Clock::system();
        let catalogue = with_purchase_limits(Catalogue::built_in()?, clock.now().day())?;
        let app = Self::new(Store::from_env()?, clock, catalogue);
        Ok(Self { claims: ClaimNames::from_env(), ..app })
    }

    /// The price list in force at `now`.
    #[must_use]
    pub fn prices(&self, now: Time) -> &PriceList {
        self.catalogue.at(now.day())
    }
}
