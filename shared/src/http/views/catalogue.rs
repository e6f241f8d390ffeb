//! Prices and plans.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::catalogue::plans::{Cadence, Per, Plan};
use crate::domain::catalogue::price_list::{Offer, PriceList};
use crate::domain::catalogue::prices::{Price, Rounding};
use crate::domain::money::Currency;
use crate::domain::{Credits, Error};

/// The prices in force from a day on.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PriceListView<'a> {
    /// The version of the catalogue, which each charge stores.
    version: &'a str,
    /// The first day (UTC) of the version.
    effective: Date,
    prices: Vec<PriceView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct PriceView<'a> {
    action: &'a str,
    /// Whether the action pauses, with all enrichment, when the team cannot pay it.
    enrichment: bool,
    /// The unit that is counted.
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    rounding: Option<RoundingView<'a>>,
    /// The price of one unit.
    credits: Credits,
    /// The outcomes that are charged.
    charged_outcomes: &'a [String],
    /// The outcomes that are recorded with 0 credits.
    free_outcomes: &'a [String],
    /// Whether the action costs nothing with the team's own key for the provider.
    free_with_own_key: bool,
    /// Whether the action is charged each month for each monitored account.
    monthly_per_account: bool,
}

/// A quantity that is finer than the unit; started units count in full.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct RoundingView<'a> {
    /// The name of the quantity.
    quantity: &'a str,
    /// The quantity of one unit.
    per_unit: u64,
}

impl<'a> From<&'a PriceList> for PriceListView<'a> {
    fn from(list: &'a PriceList) -> Self {
        let prices = list.actions.iter().map(PriceView::from).collect();
        Self { version: &list.version, effective: list.effective, prices }
    }
}

impl<'a> From<&'a Price> for PriceView<'a> {
    fn from(price: &'a Price) -> Self {
        Self {
            action: &price.name,
            enrichment: price.is_enrichment,
            unit: &price.unit,
            rounding: price.rounding.as_ref().map(RoundingView::from),
            credits: price.credits,
            charged_outcomes: &price.charged,
            free_outcomes: &price.free,
            free_with_own_key: price.own_key,
            monthly_per_account: price.is_monthly_per_account,
        }
    }
}

impl<'a> From<&'a Rounding> for RoundingView<'a> {
    fn from(Rounding { quantity, per_unit }: &'a Rounding) -> Self {
        Self { quantity, per_unit: per_unit.get() }
    }
}

/// A plan with the terms of its grants.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanView<'a> {
    plan: &'a str,
    /// The free credits of one grant, for the team or for each seat.
    credits: Credits,
    per: Per,
    cadence: Cadence,
    /// Accounts created on this day or later get 0 credits. Null if all accounts get them.
    account_created_before: Option<Date>,
    /// Whether the plan accepts no new subscription.
    retired: bool,
}

/// The plans in force.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlanListView<'a> {
    plans: Vec<PlanView<'a>>,
}

impl<'a> From<&'a PriceList> for PlanListView<'a> {
    fn from(list: &'a PriceList) -> Self {
        Self { plans: list.plans.iter().map(PlanView::from).collect() }
    }
}

/// The price of credits, and the amounts that can be bought.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurchaseOptionsView {
    /// The price of one credit.
    cents_per_credit: u64,
    currency: Currency,
    /// The fewest credits of one purchase.
    minimum: Credits,
    /// The most credits of one purchase.
    maximum: Credits,
    /// Amounts to offer, with their prices.
    presets: Vec<Offer>,
}

impl PurchaseOptionsView {
    /// The options of a list.
    ///
    /// # Errors
    /// Those of [`PriceList::offer`].
    pub fn new(list: &PriceList) -> Result<Self, Error> {
        let presets = list.purchase.presets.iter().map(|credits| list.offer(*credits));
        Ok(Self {
            cents_per_credit: list.credit.cents,
            currency: list.credit.currency,
            minimum: list.purchase.minimum,
            maximum: list.purchase.maximum,
            presets: presets.collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> From<&'a Plan> for PlanView<'a> {
    fn from(plan: &'a Plan) -> Self {
        Self {
            plan: &plan.name,
            credits: plan.credits,
            per: plan.per,
            cadence: plan.cadence,
            account_created_before: plan.account_created_before,
            retired: plan.retired,
        }
    }
}
