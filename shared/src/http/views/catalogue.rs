//! Prices and plans.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::catalogue::plans::{Cadence, Per, Plan};
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::catalogue::prices::{Price, Rounding};

/// The prices in force from a day on.
#[derive(Clone, Debug, Serialize)]
pub struct PriceListView<'a> {
    version: &'a str,
    effective: Date,
    prices: Vec<PriceView<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct PriceView<'a> {
    action: &'a str,
    enrichment: bool,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rounding: Option<RoundingView<'a>>,
    credits: Credits,
    charged_outcomes: &'a [String],
    free_outcomes: &'a [String],
    free_with_own_key: bool,
    monthly_per_account: bool,
}

/// A quantity that is finer than the unit; started units count in full.
#[derive(Clone, Debug, Serialize)]
struct RoundingView<'a> {
    quantity: &'a str,
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
pub struct PlanView<'a> {
    plan: &'a str,
    credits: Credits,
    per: Per,
    cadence: Cadence,
    account_created_before: Option<Date>,
    retired: bool,
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
