//! The price of each action and the outcomes that it charges. Prices are data: a change of a price is
//! a further [`PriceList`] with its own effective date, never an edit of a list that was in force.

use std::fmt::{self, Write};

use jiff::civil::{Date, date};
use serde::Serialize;

use crate::domain::limits::QUANTITY_MAX;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// All past, present and future price lists, oldest first.
pub const PRICE_LISTS: &[PriceList] = &[PriceList {
    version: "1",
    effective: date(2020, 1, 1),
    prices: &[
        Price {
            action: "email_finder",
            code: ActionCode(*b"ef"),
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(5),
            charged: &["deliverable", "risky"],
            free: &["undeliverable", "unverified", "not_found"],
            own_key: false,
        },
        Price {
            action: "linkedin_enrichment",
            code: ActionCode(*b"li"),
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(1),
            charged: &["found"],
            free: &["not_found"],
            own_key: false,
        },
        Price {
            action: "phone_finder",
            code: ActionCode(*b"pf"),
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(20),
            charged: &["valid"],
            free: &["invalid", "inactive", "not_found"],
            own_key: false,
        },
        Price {
            action: "call",
            code: ActionCode(*b"ca"),
            is_enrichment: false,
            unit: Unit::StartedMinute,
            credits: Credits::new(4),
            charged: &["answered"],
            free: &["unanswered"],
            own_key: false,
        },
        Price {
            action: "sms",
            code: ActionCode(*b"sm"),
            is_enrichment: false,
            unit: Unit::Message,
            credits: Credits::new(6),
            charged: &["sent"],
            free: &[],
            own_key: false,
        },
        Price {
            action: "ai_variable",
            code: ActionCode(*b"ai"),
            is_enrichment: false,
            unit: Unit::Request,
            credits: Credits::new(1),
            charged: &["valid"],
            free: &["invalid"],
            own_key: true,
        },
        signal("signal_website_visitor", *b"wv", Unit::Company, 20),
        signal("signal_linkedin_people", *b"lp", Unit::Result, 50),
        signal("signal_linkedin_company", *b"lc", Unit::Result, 50),
        signal("signal_linkedin_keywords", *b"lk", Unit::Result, 50),
        Price {
            action: "signal_custom",
            code: ActionCode(*b"cu"),
            is_enrichment: true,
            unit: Unit::AccountMonth,
            credits: Credits::new(50),
            charged: &["monitored"],
            free: &[],
            own_key: false,
        },
        signal("signal_competitor_connection", *b"cc", Unit::Signal, 100),
        signal("signal_technology_change", *b"tc", Unit::Signal, 100),
        signal("signal_job_change", *b"jc", Unit::Signal, 100),
        signal("signal_new_hire", *b"nh", Unit::Signal, 100),
        signal("signal_promotion", *b"pr", Unit::Signal, 100),
        signal("signal_hiring", *b"hi", Unit::Signal, 100),
        signal("signal_funding", *b"fu", Unit::Signal, 100),
        signal("signal_merger", *b"me", Unit::Signal, 100),
        pushed_signal("signal_external_contact", *b"xc"),
        pushed_signal("signal_external_company", *b"xo"),
    ],
}];

/// The price of a signal, charged when its outcome is `identified`.
const fn signal(action: &'static str, code: [u8; 2], unit: Unit, credits: u64) -> Price {
    Price {
        action,
        code: ActionCode(code),
        is_enrichment: true,
        unit,
        credits: Credits::new(credits),
        charged: &["identified"],
        free: &["not_identified"],
        own_key: false,
    }
}

/// The price of a signal that the team pushes through the API: 1 credit, always charged.
const fn pushed_signal(action: &'static str, code: [u8; 2]) -> Price {
    Price {
        action,
        code: ActionCode(code),
        is_enrichment: true,
        unit: Unit::Signal,
        credits: Credits::new(1),
        charged: &["pushed"],
        free: &[],
        own_key: false,
    }
}

/// The prices in force from a date on.
#[derive(Clone, Debug, Serialize)]
pub struct PriceList {
    /// The price version that a charge records.
    pub version: &'static str,
    /// The first day (UTC) on which this list is in force.
    pub effective: Date,
    /// One price for each action.
    pub prices: &'static [Price],
}

/// The price of one action.
#[derive(Clone, Debug, Serialize)]
pub struct Price {
    /// The action.
    pub action: &'static str,
    /// The code of the action, the same in all lists.
    #[serde(skip)]
    pub code: ActionCode,
    /// Whether the action is enrichment, which pauses as a whole when credits run out.
    #[serde(rename = "enrichment")]
    pub is_enrichment: bool,
    /// The unit that the action counts.
    pub unit: Unit,
    /// The credits per unit.
    pub credits: Credits,
    /// The outcomes that are charged.
    #[serde(rename = "charged_outcomes")]
    pub charged: &'static [&'static str],
    /// The outcomes that are recorded with 0 credits.
    #[serde(rename = "free_outcomes")]
    pub free: &'static [&'static str],
    /// Whether the action costs 0 credits with the team's own key for the provider.
    #[serde(rename = "free_with_own_key")]
    pub own_key: bool,
}

/// The permanent code of an action: two lowercase ASCII letters. It names the counters of the action
/// in items and keeps them small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionCode([u8; 2]);

impl ActionCode {
    /// The code with these letters; `None` if the text is not two lowercase ASCII letters.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_lowercase).then_some(Self(letters))
    }
}

impl fmt::Display for ActionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| f.write_char(char::from(*letter)))
    }
}

/// The unit that a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A lead.
    Lead,
    /// 60 seconds or a part of them. The quantity of such a charge is in seconds.
    StartedMinute,
    /// A message.
    Message,
    /// A request.
    Request,
    /// An identified company.
    Company,
    /// A result.
    Result,
    /// A monitored account for one month.
    AccountMonth,
    /// A signal.
    Signal,
}

impl Unit {
    /// The number of units in a quantity.
    #[must_use]
    pub const fn count(self, quantity: u64) -> u64 {
        match self {
            Self::StartedMinute => quantity.div_ceil(60),
            Self::Lead
            | Self::Message
            | Self::Request
            | Self::Company
            | Self::Result
            | Self::AccountMonth
            | Self::Signal => quantity,
        }
    }
}

/// The error detail for an unknown action. It names the route that lists the actions.
#[must_use]
pub fn unknown_action(action: &str) -> String {
    format!("unknown action `{action}`; GET /prices lists the actions")
}

/// The price list in force at `now`.
///
/// # Errors
/// [`Error::Internal`] if the catalogue has no list.
pub fn price_list(now: Time) -> Result<&'static PriceList, Error> {
    in_force(PRICE_LISTS, now.day()).ok_or_else(|| Error::internal("the catalogue is empty"))
}

/// The list in force on a day; before the first list's date, the first.
fn in_force<'a>(lists: &'a [PriceList], day: Date) -> Option<&'a PriceList> {
    let is_in_force = |list: &&'a PriceList| list.effective <= day;
    lists.iter().rev().find(is_in_force).or_else(|| lists.first())
}

/// The price of an action in the newest list that has the action, in force or not.
#[must_use]
pub fn row(action: &str) -> Option<&'static Price> {
    rows().find(|price| price.action == action)
}

/// The price of the action with this code, from the newest list that has it.
#[must_use]
pub fn row_of_code(code: ActionCode) -> Option<&'static Price> {
    rows().find(|price| price.code == code)
}

fn rows() -> impl Iterator<Item = &'static Price> {
    PRICE_LISTS.iter().rev().flat_map(|list| list.prices)
}

impl PriceList {
    /// The price of an action.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the list does not have the action.
    pub fn price(&self, action: &str) -> Result<&Price, Error> {
        let row = self.prices.iter().find(|price| price.action == action);
        row.ok_or_else(|| Error::invalid("action", unknown_action(action)))
    }
}

impl Price {
    /// The outcome that a charge reports. It is optional for an action with a single outcome.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the action does not have the outcome, or if a required outcome is
    /// missing.
    pub fn outcome(&self, reported: Option<&str>) -> Result<&'static str, Error> {
        let mut all = self.charged.iter().chain(self.free).copied();
        let found = match (reported, self.charged, self.free) {
            (Some(reported), _, _) => all.find(|known| *known == reported),
            (None, [only], []) => Some(*only),
            (None, _, _) => None,
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.charged.iter().chain(self.free).copied().collect();
            let detail =
                format!("the outcome of {} must be one of: {}", self.action, known.join(", "));
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
            let detail = format!("the action {} does not support `own_key`", self.action);
            return Err(Error::invalid("own_key", detail));
        }
        if own_key || !self.charged.contains(&outcome) {
            return Ok(Credits::ZERO);
        }
        let cost = self.credits.checked_mul(self.unit.count(quantity));
        cost.ok_or_else(|| {
            Error::invalid("quantity", format!("must cost at most {} credits", Credits::MAX))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(action: &str, quantity: u64, outcome: &str) -> u64 {
        let price = PRICE_LISTS[0].price(action).unwrap();
        price.cost(quantity, outcome, false).unwrap().get()
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
        let ai = PRICE_LISTS[0].price("ai_variable").unwrap();
        assert_eq!(ai.cost(3, "valid", true).unwrap(), Credits::ZERO);
        assert_eq!(ai.cost(3, "valid", false).unwrap(), Credits::new(3));
        let email = PRICE_LISTS[0].price("email_finder").unwrap();
        assert!(email.cost(1, "deliverable", true).is_err());
    }

    #[test]
    fn outcome_is_optional_for_a_single_outcome_only() {
        let price = |action| PRICE_LISTS[0].price(action).unwrap();
        assert_eq!(price("sms").outcome(None).unwrap(), "sent");
        assert!(price("email_finder").outcome(None).is_err());
        assert!(price("email_finder").outcome(Some("identified")).is_err());
        assert!(PRICE_LISTS[0].price("teleport").is_err());
    }

    #[test]
    fn a_price_list_is_in_force_from_its_effective_date() {
        let list = |version, year| PriceList { version, effective: date(year, 1, 1), prices: &[] };
        let lists = [list("a", 2025), list("b", 2026)];
        let version = |day| in_force(&lists, day).unwrap().version;
        assert_eq!(version(date(2024, 6, 1)), "a");
        assert_eq!(version(date(2025, 12, 31)), "a");
        assert_eq!(version(date(2026, 1, 1)), "b");
    }

    #[test]
    fn price_lists_are_ordered_and_have_unique_actions() {
        assert!(PRICE_LISTS.is_sorted_by(|a, b| a.effective < b.effective));
        for list in PRICE_LISTS {
            let mut actions: Vec<&str> = list.prices.iter().map(|price| price.action).collect();
            actions.sort_unstable();
            actions.dedup();
            assert_eq!(actions.len(), list.prices.len());
        }
    }

    #[test]
    fn each_action_has_its_own_two_letter_code() {
        for price in PRICE_LISTS.iter().flat_map(|list| list.prices) {
            let code = price.code;
            assert_eq!(ActionCode::of(&code.to_string()), Some(code), "{code}");
            assert_eq!(row_of_code(code).map(|row| row.action), Some(price.action));
            assert_eq!(row(price.action).map(|row| row.code), Some(code));
        }
    }
}
