//! Usage by action: the pool has the counters of the current cycle, a hold and a lane those of the charges that they
//! have paid.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::credits::TooMany;
use crate::domain::ledger::entry::Entry;

/// The counts of each action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By the code of the action. Actions without a count are absent.
    pub(crate) counts: BTreeMap<ActionCode, Counts>,
    /// Counters of a newer version of the code, by name. They pass through.
    pub(crate) unknown: BTreeMap<String, u64>,
}

/// The counts of one action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The units that were charged or free, in the unit of the price.
    pub attempts: u64,
    /// The units among them with a cost.
    pub charged: u64,
    /// Their cost.
    pub credits: Credits,
}

/// The usage of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActionUsage {
    /// The action.
    pub action: String,
    /// All units, also those that were not charged.
    pub attempts: u64,
    /// The units that were charged.
    pub charged: u64,
    /// The credits of these units.
    pub credits: Credits,
}

/// The part of all units that had a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitRate {
    charged: u64,
    attempts: u64,
}

impl HitRate {
    /// The rate of counts; `None` without attempts.
    fn of(counts: Counts) -> Option<Self> {
        let Counts { attempts, charged, .. } = counts;
        (attempts > 0).then_some(Self { charged, attempts })
    }

    /// The part of `all` at this rate, rounded up; `None` if it is larger than [`Credits::MAX`].
    #[must_use]
    pub fn part_of(self, all: Credits) -> Option<Credits> {
        let product = u128::from(all.get()).checked_mul(self.charged.into())?;
        let part = product.div_ceil(u128::from(self.attempts).max(1));
        u64::try_from(part).ok()?.try_into().ok()
    }
}

/// With two decimal digits, rounded to the nearest.
impl fmt::Display for HitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (charged, attempts) = (u128::from(self.charged), u128::from(self.attempts).max(1));
        let twice = charged.saturating_mul(200).saturating_add(attempts);
        let hundredths = twice.checked_div(attempts.saturating_mul(2)).unwrap_or_default();
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Counts {
    /// The sum.
    ///
    /// # Errors
    /// [`TooMany`] if a count leaves its range.
    fn try_add(self, more: Self) -> Result<Self, TooMany> {
        Ok(Self {
            attempts: self.attempts.checked_add(more.attempts).ok_or(TooMany)?,
            charged: self.charged.checked_add(more.charged).ok_or(TooMany)?,
            credits: self.credits.try_add(more.credits)?,
        })
    }
}

impl Usage {
    /// The usage of priced charges.
    ///
    /// # Errors
    /// [`TooMany`] if a count leaves its range.
    pub fn of<'a>(charges: impl IntoIterator<Item = &'a Entry>) -> Result<Self, TooMany> {
        let mut usage = Self::default();
        for charge in charges {
            usage.count(charge)?;
        }
        Ok(usage)
    }

    fn count(&mut self, entry: &Entry) -> Result<(), TooMany> {
        let Some(metering) = entry.metering else { return Ok(()) };
        let (attempts, credits) = (metering.units, entry.amount());
        let charged = if credits.is_zero() { 0 } else { attempts };
        self.add(metering.code, Counts { attempts, charged, credits })
    }

    fn add(&mut self, code: ActionCode, more: Counts) -> Result<(), TooMany> {
        let counts = self.counts.entry(code).or_default();
        *counts = counts.try_add(more)?;
        Ok(())
    }

    /// Adds other usage.
    ///
    /// # Errors
    /// [`TooMany`] if a count leaves its range.
    pub fn merge(&mut self, other: &Self) -> Result<(), TooMany> {
        for (code, more) in &other.counts {
            self.add(*code, *more)?;
        }
        for (name, more) in &other.unknown {
            let count = self.unknown.entry(name.clone()).or_default();
            *count = count.checked_add(*more).ok_or(TooMany)?;
        }
        Ok(())
    }

    /// Whether there is no usage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.unknown.is_empty()
    }

    /// The cost of all actions, unknown ones included.
    ///
    /// # Errors
    /// [`TooMany`] if it is larger than [`Credits::MAX`].
    pub fn spent(&self) -> Result<Credits, TooMany> {
        Credits::sum(self.counts.values().map(|counts| counts.credits))
    }

    /// The rate of an action; `None` without attempts.
    #[must_use]
    pub fn hit_rate(&self, code: ActionCode) -> Option<HitRate> {
        HitRate::of(*self.counts.get(&code)?)
    }

    /// The rate of all actions together; `None` without attempts.
    ///
    /// # Errors
    /// [`TooMany`] if a count leaves its range.
    pub fn overall_rate(&self) -> Result<Option<HitRate>, TooMany> {
        let mut counts = self.counts.values();
        counts.try_fold(Counts::default(), |sum, counts| sum.try_add(*counts)).map(HitRate::of)
    }

    /// The usage of each action with attempts that the catalogue has.
    pub fn actions(&self, catalogue: &Catalogue) -> impl Iterator<Item = ActionUsage> {
        let attempted = self.counts.iter().filter(|(_, counts)| counts.attempts > 0);
        attempted.filter_map(|(code, Counts { attempts, charged, credits })| {
            let action = catalogue.action_of(*code)?.name.clone();
            Some(ActionUsage { action, attempts: *attempts, charged: *charged, credits: *credits })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::{catalogue, prices};
    use crate::domain::charge::ChargeRequest;
    use crate::domain::ids::CallerKey;
    use crate::domain::ledger::entry::Details;
    use serde_json::json;

    fn charge(body: serde_json::Value) -> Entry {
        let request: ChargeRequest = serde_json::from_value(body).unwrap();
        let at = "2026-11-03T00:00:00Z".parse().unwrap();
        let team = "t_1".parse().unwrap();
        let key = CallerKey::of_machine("k".parse().unwrap());
        request.price(&team, key, None, prices(), at).unwrap()
    }

    fn code(action: &str) -> ActionCode {
        prices().price(action).unwrap().code
    }

    fn rows(usage: &Usage) -> String {
        let row = |row: ActionUsage| {
            format!("{} {} {} {}", row.action, row.attempts, row.charged, row.credits)
        };
        usage.actions(&catalogue()).map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn counts_units_with_and_without_a_cost() {
        let usage = Usage::of(&[
            charge(json!({ "action": "email_finder", "outcome": "risky", "quantity": 3 })),
            charge(json!({ "action": "email_finder", "outcome": "not_found" })),
            charge(json!({ "action": "call", "outcome": "answered", "quantity": 61 })),
            charge(json!({ "action": "ai_variable", "outcome": "valid", "own_key": true })),
        ]);
        let usage = usage.unwrap();
        assert_eq!(rows(&usage), "ai_variable 1 0 0, call 2 2 8, email_finder 4 3 15");
        assert_eq!(usage.spent(), Ok(Credits::new(23)));
    }

    #[test]
    fn merging_adds_other_counters_once() {
        let found = charge(json!({ "action": "linkedin_enrichment", "outcome": "found" }));
        let mut pool = Usage::of([&found]).unwrap();
        pool.merge(&Usage::of([&found, &found]).unwrap()).unwrap();
        assert_eq!(rows(&pool), "linkedin_enrichment 3 3 3");
    }

    #[test]
    fn the_hit_rate_is_the_charged_part_of_all_attempts() {
        let email = |outcome, quantity| {
            let body =
                json!({ "action": "email_finder", "outcome": outcome, "quantity": quantity });
            charge(body)
        };
        let usage = Usage::of(&[email("risky", 61), email("not_found", 39)]).unwrap();
        let rate = usage.hit_rate(code("email_finder")).unwrap();
        assert_eq!(rate.to_string(), "0.61");
        assert_eq!(rate.part_of(Credits::new(500)), Some(Credits::new(305)));
        assert_eq!(rate.part_of(Credits::new(1)), Some(Credits::new(1)), "rounded up");
        assert_eq!(usage.hit_rate(code("phone_finder")), None);
        assert_eq!(usage.overall_rate(), Ok(Some(rate)));
        let all = Usage::of(&[email("risky", 3)]).unwrap();
        assert_eq!(all.overall_rate().unwrap().unwrap().to_string(), "1.00");
        let third = Usage::of(&[email("risky", 2), email("not_found", 1)]).unwrap();
        assert_eq!(third.overall_rate().unwrap().unwrap().to_string(), "0.67");
    }

    #[test]
    fn counts_charges_only() {
        let entry = charge(json!({ "action": "sms" }));
        let gift = Entry::new(&entry.team, None, Details::Gift {}, entry.at);
        assert!(Usage::of([&gift]).unwrap().is_empty());
    }
}
