//! Prices and plans.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::catalogue::plans::{Cadence, GrantTerms, Per, Plan};
use crate::domain::catalogue::prices::{Price, PriceList, Unit};

/// The prices in force from a day on.
#[derive(Clone, Debug, Serialize)]
pub struct PriceListView {
    version: &'static str,
    effective: Date,
    prices: Vec<PriceView>,
}

#[derive(Clone, Debug, Serialize)]
struct PriceView {
    action: &'static str,
    enrichment: bool,
    unit: Unit,
    credits: Credits,
    charged_outcomes: &'static [&'static str],
    free_outcomes: &'static [&'static str],
    free_with_own_key: bool,
}

impl From<&PriceList> for PriceListView {
    fn from(list: &PriceList) -> Self {
        let prices = list.prices.iter().map(PriceView::from).collect();
        Self { version: list.version, effective: list.effective, prices }
    }
}

impl From<&Price> for PriceView {
    fn from(price: &Price) -> Self {
        Self {
            action: price.action,
            enrichment: price.is_enrichment,
            unit: price.unit,
            credits: price.credits,
            charged_outcomes: price.charged,
            free_outcomes: price.free,
            free_with_own_key: price.own_key,
        }
    }
}

/// A plan with the terms of its grants.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    plan: &'static str,
    credits: Credits,
    per: Per,
    cadence: Cadence,
    account_created_before: Option<Date>,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        let GrantTerms { credits, per, cadence, account_created_before } = plan.grant;
        Self { plan: plan.name, credits, per, cadence, account_created_before }
    }
}
