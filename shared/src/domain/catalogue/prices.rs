//! What each action costs, and which outcomes cost it. Prices are data: a change of price is a
//! further [`PriceList`] with its own effective date, never an edit of one that was in force.

use jiff::civil::{Date, date};
use serde::Serialize;

use crate::domain::limits::QUANTITY_MAX;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// All prices that were, are or will be in force, the oldest first.
pub const PRICE_LISTS: &[PriceList] = &[PriceList {
    version: "1",
    effective: date(2020, 1, 1),
    prices: &[
        Price {
            action: "email_finder",
            code: "ef",
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(5),
            charged: &["deliverable", "risky"],
            free: &["undeliverable", "unverified", "not_found"],
            own_key: false,
        },
        Price {
            action: "linkedin_enrichment",
            code: "li",
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(1),
            charged: &["found"],
            free: &["not_found"],
            own_key: false,
        },
        Price {
            action: "phone_finder",
            code: "pf",
            is_enrichment: true,
            unit: Unit::Lead,
            credits: Credits::new(20),
            charged: &["valid"],
            free: &["invalid", "inactive", "not_found"],
            own_key: false,
        },
        Price {
            action: "call",
            code: "ca",
            is_enrichment: false,
            unit: Unit::StartedMinute,
            credits: Credits::new(4),
            charged: &["answered"],
            free: &["unanswered"],
            own_key: false,
        },
        Price {
            action: "sms",
            code: "sm",
            is_enrichment: false,
            unit: Unit::Message,
            credits: Credits::new(6),
            charged: &["sent"],
            free: &[],
            own_key: false,
        },
        Price {
            action: "ai_variable",
            code: "ai",
            is_enrichment: false,
            unit: Unit::Request,
            credits: Credits::new(1),
            charged: &["valid"],
            free: &["invalid"],
            own_key: true,
        },
        signal("signal_website_visitor", "wv", Unit::Company, 20),
        signal("signal_linkedin_people", "lp", Unit::Result, 50),
        signal("signal_linkedin_company", "lc", Unit::Result, 50),
        signal("signal_linkedin_keywords", "lk", Unit::Result, 50),
        Price {
            action: "signal_custom",
            code: "cu",
            is_enrichment: true,
            unit: Unit::AccountMonth,
            credits: Credits::new(50),
            charged: &["monitored"],
            free: &[],
            own_key: false,
        },
        signal("signal_competitor_connection", "cc", Unit::Signal, 100),
        signal("signal_technology_change", "tc", Unit::Signal, 100),
        signal("signal_job_change", "jc", Unit::Signal, 100),
        signal("signal_new_hire", "nh", Unit::Signal, 100),
        signal("signal_promotion", "pr", Unit::Signal, 100),
        signal("signal_hiring", "hi", Unit::Signal, 100),
        signal("signal_funding", "fu", Unit::Signal, 100),
        signal("signal_merger", "me", Unit::Signal, 100),
        pushed_signal("signal_external_contact", "xc"),
        pushed_signal("signal_external_company", "xo"),
    ],
}];

/// A signal that is paid for when it identifies what it looks for.
const fn signal(action: &'static str, code: &'static str, unit: Unit, credits: u64) -> Price {
    Price {
        action,
        code,
        is_enrichment: true,
        unit,
        credits: Credits::new(credits),
        charged: &["identified"],
        free: &["not_identified"],
        own_key: false,
    }
}

/// A signal that the team pushes through the API itself; it always costs.
const fn pushed_signal(action: &'static str, code: &'static str) -> Price {
    Price {
        action,
        code,
        is_enrichment: true,
        unit: Unit::Signal,
        credits: Credits::new(1),
        charged: &["pushed"],
        free: &[],
        own_key: false,
    }
}

/// The prices that are in force from a date on.
#[derive(Clone, Debug, Serialize)]
pub struct PriceList {
    /// What a charge records as its price version.
    pub version: &'static str,
    /// The first day (UTC) on which this list holds.
    pub effective: Date,
    /// One row for each action.
    pub prices: &'static [Price],
}

/// What one action costs.
#[derive(Clone, Debug, Serialize)]
pub struct Price {
    /// The action's name.
    pub action: &'static str,
    /// What counters of the action begin with: two letters that stay the same over all lists, so
    /// that a pool with its counters stays small.
    #[serde(skip)]
    pub code: &'static str,
    /// Whether it is enrichment, which is paused as a whole when credits run out.
    #[serde(rename = "enrichment")]
    pub is_enrichment: bool,
    /// What is counted.
    pub unit: Unit,
    /// Credits for each unit.
    pub credits: Credits,
    /// The outcomes that are charged.
    #[serde(rename = "charged_outcomes")]
    pub charged: &'static [&'static str],
    /// The outcomes that are recorded at no cost.
    #[serde(rename = "free_outcomes")]
    pub free: &'static [&'static str],
    /// Whether the action is free with the team's own key for the provider.
    #[serde(rename = "free_with_own_key")]
    pub own_key: bool,
}

/// What a price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A lead.
    Lead,
    /// Sixty seconds or the beginning of them; the quantity of such a charge is in seconds.
    StartedMinute,
    /// A message.
    Message,
    /// A request.
    Request,
    /// An identified company.
    Company,
    /// A result.
    Result,
    /// A monitored account and month.
    AccountMonth,
    /// A signal.
    Signal,
}

impl Unit {
    /// How many units a quantity is.
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

/// Says that an action is unknown, and where the known ones are.
#[must_use]
pub fn unknown_action(action: &str) -> String {
    format!("unknown action `{action}`; GET /prices lists the actions")
}

/// The prices at that time.
///
/// # Errors
/// [`Error::Internal`] of a catalogue without a list.
pub fn price_list(now: Time) -> Result<&'static PriceList, Error> {
    in_force(PRICE_LISTS, now.day()).ok_or_else(|| Error::internal("the catalogue is empty"))
}

/// The list in force on a day; before the first list's date, the first.
fn in_force<'a>(lists: &'a [PriceList], day: Date) -> Option<&'a PriceList> {
    let is_in_force = |list: &&'a PriceList| list.effective <= day;
    lists.iter().rev().find(is_in_force).or_else(|| lists.first())
}

/// The row of an action in the newest list that has it, whatever it cost when it was charged.
#[must_use]
pub fn row(action: &str) -> Option<&'static Price> {
    rows().find(|price| price.action == action)
}

/// The row of the action whose counters begin with these letters.
#[must_use]
pub fn row_of_code(code: &str) -> Option<&'static Price> {
    rows().find(|price| price.code == code)
}

fn rows() -> impl Iterator<Item = &'static Price> {
    PRICE_LISTS.iter().rev().flat_map(|list| list.prices)
}

impl PriceList {
    /// The row of an action.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action that the list does not have.
    pub fn price(&self, action: &str) -> Result<&Price, Error> {
        let row = self.prices.iter().find(|price| price.action == action);
        row.ok_or_else(|| Error::invalid("action", unknown_action(action)))
    }
}

impl Price {
    /// The outcome that a charge reports. Where the action has one outcome only, it need not be told.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an outcome that the action does not have, or for none where it matters.
    pub fn outcome(&self, told: Option<&str>) -> Result<&'static str, Error> {
        let mut all = self.charged.iter().chain(self.free).copied();
        let found = match (told, self.charged, self.free) {
            (Some(told), _, _) => all.find(|known| *known == told),
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

    /// What `quantity` costs with this outcome.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a quantity outside 1 to [`QUANTITY_MAX`], or for `own_key` where
    /// the action has no such thing.
    pub fn cost(&self, quantity: u64, outcome: &str, own_key: bool) -> Result<Credits, Error> {
        if !(1..=QUANTITY_MAX).contains(&quantity) {
            return Err(Error::invalid("quantity", format!("must be 1 to {QUANTITY_MAX}")));
        }
        if own_key && !self.own_key {
            return Err(Error::invalid(
                "own_key",
                format!("{} has no use of an own key", self.action),
            ));
        }
        if own_key || !self.charged.contains(&outcome) {
            return Ok(Credits::ZERO);
        }
        let cost = self.credits.checked_mul(self.unit.count(quantity));
        cost.ok_or_else(|| Error::invalid("quantity", "costs more credits than there can be"))
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
    fn a_started_minute_counts_as_one() {
        let seconds = [(1, 4), (59, 4), (60, 4), (61, 8), (120, 8), (121, 12)];
        for (quantity, credits) in seconds {
            assert_eq!(cost("call", quantity, "answered"), credits, "{quantity} s");
        }
        assert_eq!(cost("call", 61, "unanswered"), 0);
    }

    #[test]
    fn a_hundred_leads() {
        let email = cost("email_finder", 100, "deliverable");
        let phone = cost("phone_finder", 100, "valid");
        assert_eq!((email, email + phone), (500, 2_500));
    }

    #[test]
    fn an_own_key_is_free_where_there_is_one() {
        let ai = PRICE_LISTS[0].price("ai_variable").unwrap();
        assert_eq!(ai.cost(3, "valid", true).unwrap(), Credits::ZERO);
        assert_eq!(ai.cost(3, "valid", false).unwrap(), Credits::new(3));
        let email = PRICE_LISTS[0].price("email_finder").unwrap();
        assert!(email.cost(1, "deliverable", true).is_err());
    }

    #[test]
    fn an_outcome_may_be_left_out_only_where_there_is_one() {
        let price = |action| PRICE_LISTS[0].price(action).unwrap();
        assert_eq!(price("sms").outcome(None).unwrap(), "sent");
        assert!(price("email_finder").outcome(None).is_err());
        assert!(price("email_finder").outcome(Some("identified")).is_err());
        assert!(PRICE_LISTS[0].price("teleport").is_err());
    }

    #[test]
    fn a_list_holds_from_its_effective_date_on() {
        let list = |version, year| PriceList { version, effective: date(year, 1, 1), prices: &[] };
        let lists = [list("a", 2025), list("b", 2026)];
        let version = |day| in_force(&lists, day).unwrap().version;
        assert_eq!(version(date(2024, 6, 1)), "a");
        assert_eq!(version(date(2025, 12, 31)), "a");
        assert_eq!(version(date(2026, 1, 1)), "b");
    }

    #[test]
    fn lists_are_in_order_and_name_an_action_once() {
        assert!(PRICE_LISTS.is_sorted_by(|a, b| a.effective < b.effective));
        for list in PRICE_LISTS {
            let mut actions: Vec<&str> = list.prices.iter().map(|price| price.action).collect();
            actions.sort_unstable();
            actions.dedup();
            assert_eq!(actions.len(), list.prices.len());
        }
    }

    #[test]
    fn a_code_is_two_letters_of_one_action() {
        for price in PRICE_LISTS.iter().flat_map(|list| list.prices) {
            let code = price.code;
            assert!(code.len() == 2 && code.chars().all(|c| c.is_ascii_lowercase()), "{code}");
            assert_eq!(row_of_code(code).map(|row| row.action), Some(price.action));
            assert_eq!(row(price.action).map(|row| row.code), Some(code));
        }
    }
}
