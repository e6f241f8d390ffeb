//! A version of the catalogue.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::catalogue::plans::Plan;
use crate::domain::catalogue::prices::{Price, unknown_action};
use crate::domain::limits::PurchaseLimits;
use crate::domain::money::Amount;
use crate::domain::{Credits, Error};

/// The prices of actions, the plans and the terms of sale from a date on.
#[derive(Clone, Debug)]
pub struct PriceList {
    /// The price version that a charge records.
    pub version: String,
    /// The first day (UTC) on which this list is in force.
    pub effective: Date,
    /// The price of one purchased credit. There are no tiers.
    pub credit: Amount,
    /// The limits of one purchase.
    pub purchase: PurchaseLimits,
    /// One price for each action, in the order of the file.
    pub actions: Vec<Price>,
    /// The plans, in the order of the file.
    pub plans: Vec<Plan>,
}

/// Credits to buy and their price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offer {
    /// The credits.
    pub credits: Credits,
    /// Their price.
    pub amount: Amount,
}

impl PriceList {
    /// The price of an action, if the list has it.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Price> {
        self.actions.iter().find(|price| price.name == name)
    }

    /// The price of an action that a request names.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the list does not have the action.
    pub fn price(&self, action: &str) -> Result<&Price, Error> {
        self.action(action).ok_or_else(|| Error::invalid("action", unknown_action(action)))
    }

    /// The price of a month of a monitored account, if the product has monitored accounts.
    #[must_use]
    pub fn month(&self) -> Option<&Price> {
        self.actions.iter().find(|price| price.is_monthly_per_account)
    }

    /// A plan, if the list has it.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.name == name)
    }

    /// The offer of `credits` credits, within the limits of one purchase or not.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they cost more than 2^53 - 1 cents.
    pub fn offer(&self, credits: Credits) -> Result<Offer, Error> {
        let amount = self.credit.times(credits);
        let detail = || format!("must cost at most {} cents", Credits::MAX);
        amount
            .map(|amount| Offer { credits, amount })
            .ok_or_else(|| Error::invalid("credits", detail()))
    }
}
