//! The parts of a catalogue that the demo team, the printed requests and the story use.

use shared::domain::Error;
use shared::domain::catalogue::plans::{Cadence, Plan};
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::catalogue::prices::Price;

/// The plan of the demo team: of the plans that any team can start, a monthly one if there is one, the one
/// with the most credits.
pub(crate) fn plan(list: &PriceList) -> Result<&Plan, Error> {
    let is_open = |plan: &&Plan| !plan.retired && plan.account_created_before.is_none();
    let rank = |plan: &&Plan| (plan.cadence == Cadence::Monthly, plan.credits);
    let plan = list.plans.iter().filter(is_open).max_by_key(rank);
    plan.ok_or_else(|| Error::internal("the catalogue has no plan that a team can start"))
}

/// The actions that callers charge, in the order of the file.
pub(crate) fn actions(list: &PriceList) -> impl Iterator<Item = &Price> {
    list.actions.iter().filter(|price| !price.is_monthly_per_account)
}

/// The first action that costs credits.
pub(crate) fn action(list: &PriceList) -> Result<&Price, Error> {
    let action = actions(list).find(|price| !price.credits.is_zero());
    action.ok_or_else(|| Error::internal("the catalogue has no action that costs credits"))
}

/// The first charged outcome of an action.
pub(crate) fn outcome(price: &Price) -> &str {
    price.charged.first().map(String::as_str).unwrap_or_default()
}
