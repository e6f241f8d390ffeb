//! The price of an action and the outcomes that it charges.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::limits::QUANTITY_MAX;
use crate::domain::{Credits, Error};

/// The price of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The action.
    pub name: String,
    /// The code of the action, the same in all lists.
    pub code: ActionCode,
    /// The unit that the action counts.
    pub unit: String,
    /// The quantity in a unit; `None` if the quantity is a number of units.
    pub rounding: Option<Rounding>,
    /// The credits per unit.
    pub credits: Credits,
    /// The outcomes that are charged.
    pub charged: Vec<String>,
    /// The outcomes that are recorded with 0 credits.
    #[serde(default)]
    pub free: Vec<String>,
    /// Whether the action is enrichment, which pauses as a whole when credits run out.
    #[serde(rename = "enrichment", default)]
    pub is_enrichment: bool,
    /// Whether the action costs 0 credits with the team's own key for the provider.
    #[serde(default)]
    pub own_key: bool,
    /// Whether the action is charged each month for each monitored account.
    #[serde(rename = "monthly_per_account", default)]
    pub is_monthly_per_account: bool,
}

/// A quantity that is finer than the unit. A unit that has started counts in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// The unit of the quantity of a charge, such as `seconds`.
    pub quantity: String,
    /// The quantity of one unit.
    pub per_unit: NonZeroU64,
}

/// The attributes of its price that the write of a charge needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metering {
    /// The code of the action.
    pub code: ActionCode,
    /// The units, started ones included.
    pub units: u64,
    /// Whether the action is enrichment.
    pub is_enrichment: bool,
}

/// The error detail for an unknown action. It names the route that lists the actions.
#[must_use]
pub fn unknown_action(action: &str) -> String {
    format!("unknown action `{action}`; GET /prices lists the actions")
}

impl Price {
    /// The number of units in a quantity, started ones included.
    #[must_use]
    pub fn units(&self, quantity: u64) -> u64 {
        self.rounding
            .as_ref()
            .map_or(quantity, |rounding| quantity.div_ceil(rounding.per_unit.get()))
    }

    /// The metering of a charge of `quantity`.
    #[must_use]
    pub fn metering(&self, quantity: u64) -> Metering {
        let (code, is_enrichment) = (self.code, self.is_enrichment);
        Metering { code, units: self.units(quantity), is_enrichment }
    }

    /// All outcomes, charged ones first.
    pub fn outcomes(&self) -> impl Iterator<Item = &str> {
        self.charged.iter().chain(&self.free).map(String::as_str)
    }

    /// The outcome that a charge reports. It is optional for an action with a single outcome.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the action does not have the outcome, or if a required outcome is
    /// missing.
    pub fn outcome(&self, reported: Option<&str>) -> Result<&str, Error> {
        let found = match (reported, self.charged.as_slice(), self.free.as_slice()) {
            (Some(reported), _, _) => self.outcomes().find(|known| *known == reported),
            (None, [only], []) => Some(only.as_str()),
            (None, _, _) => None,
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.outcomes().collect();
            let detail =
                format!("the outcome of {} must be one of: {}", self.name, known.join(", "));
            Error::invalid("outcome", detail)
        })
    }

    /// The credits that `quantity` costs with this outcome.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the quantity is outside 1 to [`QUANTITY_MAX`], if the action does not
    /// support `own_key`, or if the cost is larger than [`Credits::MAX`].
    pub fn cost(&self, quantity: u64, outcome: &str, own_key: bool) -> Result<Credits, Error> {
        if !(1..=QUANTITY_MAX).contains(&quantity) {
            return Err(Error::invalid("quantity", format!("must be 1 to {QUANTITY_MAX}")));
        }
        if own_key && !self.own_key {
            let detail = format!("the action {} does not support `own_key`", self.name);
            return Err(Error::invalid("own_key", detail));
        }
        if own_key || !self.charged.iter().any(|charged| charged == outcome) {
            return Ok(Credits::ZERO);
        }
        let cost = self.credits.checked_mul(self.units(quantity));
        cost.ok_or_else(|| {
            Error::invalid("quantity", format!("must cost at most {} credits", Credits::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::prices;

    fn cost(action: &str, quantity: u64, outcome: &str) -> u64 {
        prices().price(action).unwrap().cost(quantity, outcome, false).unwrap().get()
    }

    #[test]
    fn a_started_minute_costs_a_full_minute() {
        let seconds = [(1, 4), (59, 4), (60, 4), (61, 8), (120, 8), (121, 12)];
        for (quantity, credits) in seconds {
            assert_eq!(cost("call", quantity, "answered"), credits, "{quantity} s");
        }
        assert_eq!(cost("call", 61, "unanswered"), 0);
    }

    #[test]
    fn a_hundred_leads_cost_500_and_2_500_with_phone() {
        let email = cost("email_finder", 100, "deliverable");
        let phone = cost("phone_finder", 100, "valid");
        assert_eq!((email, email + phone), (500, 2_500));
    }

    #[test]
    fn own_key_costs_nothing_and_is_rejected_where_unsupported() {
        let list = prices();
        let ai = list.price("ai_variable").unwrap();
        assert_eq!(ai.cost(3, "valid", true).unwrap(), Credits::ZERO);
        assert_eq!(ai.cost(3, "valid", false).unwrap(), Credits::new(3));
        let email = list.price("email_finder").unwrap();
        assert!(email.cost(1, "deliverable", true).is_err());
    }

    #[test]
    fn outcome_is_optional_for_a_single_outcome_only() {
        let list = prices();
        let price = |action| list.price(action).unwrap();
        assert_eq!(price("sms").outcome(None).unwrap(), "sent");
        assert!(price("email_finder").outcome(None).is_err());
        assert!(price("email_finder").outcome(Some("identified")).is_err());
        assert!(list.price("teleport").is_err());
    }
}
