//! Usage by action: the pool has the counters of the current cycle, a hold and a lane those of the charges that they
//! have paid.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::ledger::entry::Entry;

/// The last letter of each counter of an action.
const ATTEMPTS: char = 'a';
const CHARGED: char = 'c';
const SPENT: char = 's';

/// Counters, each named by the code of its action and a letter. They are flat with short names, because a write of the
/// pool adds to them without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usage(BTreeMap<String, u64>);

/// The usage of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionUsage {
    /// The action.
    pub action: String,
    /// The units that were charged or free, in the unit of the price.
    pub attempts: u64,
    /// The units among them with a cost.
    pub charged: u64,
    /// Their cost.
    pub credits: Credits,
}

/// The part of all units that had a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitRate {
    charged: u64,
    attempts: u64,
}

impl HitRate {
    /// The rate of `charged` in `attempts`; `None` without attempts.
    fn of(charged: u64, attempts: u64) -> Option<Self> {
        (attempts > 0).then_some(Self { charged, attempts })
    }

    /// The part of `whole` at this rate, rounded up.
    #[must_use]
    pub fn part_of(self, whole: Credits) -> Credits {
        let product = u128::from(whole.get()).saturating_mul(self.charged.into());
        let part = product.div_ceil(u128::from(self.attempts).max(1));
        Credits::new(u64::try_from(part).unwrap_or(u64::MAX))
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

impl Usage {
    /// The usage of charges.
    #[must_use]
    pub fn of<'a>(charges: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut usage = Self::default();
        for charge in charges {
            usage.count(charge);
        }
        usage
    }

    fn count(&mut self, entry: &Entry) {
        let Some(metering) = entry.metering else { return };
        let units = metering.units;
        let spent = entry.spent().get();
        let charged = if spent == 0 { 0 } else { units };
        for (letter, more) in [(ATTEMPTS, units), (CHARGED, charged), (SPENT, spent)] {
            self.add(&format!("{}{letter}", metering.code), more);
        }
    }

    fn add(&mut self, counter: &str, more: u64) {
        if more > 0 {
            let count = self.0.entry(counter.to_owned()).or_default();
            *count = count.saturating_add(more);
        }
    }

    /// Adds other counters.
    pub fn merge(&mut self, other: &Self) {
        for (counter, more) in &other.0 {
            self.add(counter, *more);
        }
    }

    /// The increase since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut more = Self::default();
        for (counter, count) in &self.0 {
            let before = earlier.0.get(counter).copied().unwrap_or_default();
            more.add(counter, count.saturating_sub(before));
        }
        more
    }

    /// The counters that are not zero.
    pub fn counters(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(counter, count)| (counter.as_str(), *count))
    }

    /// Whether there is no usage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The cost of all actions, unknown ones included.
    #[must_use]
    pub fn spent(&self) -> Credits {
        let costs = self.counters().filter(|(counter, _)| counter.ends_with(SPENT));
        costs.fold(Credits::ZERO, |sum, (_, cost)| {
            sum.checked_add(Credits::new(cost)).unwrap_or(Credits::MAX)
        })
    }

    /// The rate of an action; `None` without attempts.
    #[must_use]
    pub fn hit_rate(&self, code: ActionCode) -> Option<HitRate> {
        let of = |letter| self.0.get(&format!("{code}{letter}")).copied().unwrap_or_default();
        HitRate::of(of(CHARGED), of(ATTEMPTS))
    }

    /// The rate of all actions together.
    #[must_use]
    pub fn overall_rate(&self) -> Option<HitRate> {
        let sum = |letter| {
            let counts = self.counters().filter(|(counter, _)| counter.ends_with(letter));
            counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(count))
        };
        HitRate::of(sum(CHARGED), sum(ATTEMPTS))
    }

    /// The usage of each action with attempts.
    pub fn actions(&self, catalogue: &Catalogue) -> impl Iterator<Item = ActionUsage> {
        self.0.iter().filter_map(|(counter, attempts)| {
            let price = catalogue.action_of(ActionCode::of(counter.strip_suffix(ATTEMPTS)?)?)?;
            let of = |letter| self.0.get(&format!("{}{letter}", price.code)).copied();
            Some(ActionUsage {
                action: price.name.clone(),
                attempts: *attempts,
                charged: of(CHARGED).unwrap_or_default(),
                credits: Credits::new(of(SPENT).unwrap_or_default()),
            })
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

    fn rows(usage: &Usage) -> Vec<(String, u64, u64, u64)> {
        let row = |row: ActionUsage| (row.action, row.attempts, row.charged, row.credits.get());
        usage.actions(&catalogue()).map(row).collect()
    }

    #[test]
    fn counts_units_with_and_without_a_cost() {
        let usage = Usage::of(&[
            charge(json!({ "action": "email_finder", "outcome": "risky", "quantity": 3 })),
            charge(json!({ "action": "email_finder", "outcome": "not_found" })),
            charge(json!({ "action": "call", "outcome": "answered", "quantity": 61 })),
            charge(json!({ "action": "ai_variable", "outcome": "valid", "own_key": true })),
        ]);
        let expected = [("ai_variable", 1, 0, 0), ("call", 2, 2, 8), ("email_finder", 4, 3, 15)];
        let expected = expected.map(|(action, a, c, s)| (action.to_owned(), a, c, s));
        assert_eq!(rows(&usage), expected);
        assert_eq!(usage.spent(), Credits::new(23));
    }

    #[test]
    fn merging_adds_other_counters_once() {
        let found = charge(json!({ "action": "linkedin_enrichment", "outcome": "found" }));
        let mut pool = Usage::of([&found]);
        let before = pool.clone();
        let lane = Usage::of([&found, &found]);
        pool.merge(&lane);
        assert_eq!(rows(&pool), [("linkedin_enrichment".to_owned(), 3, 3, 3)]);
        assert_eq!(pool.since(&before), lane);
        assert!(pool.since(&pool).is_empty());
    }

    #[test]
    fn the_hit_rate_is_the_charged_part_of_all_attempts() {
        let email = |outcome, quantity| {
            let body =
                json!({ "action": "email_finder", "outcome": outcome, "quantity": quantity });
            charge(body)
        };
        let usage = Usage::of(&[email("risky", 61), email("not_found", 39)]);
        let rate = usage.hit_rate(code("email_finder")).unwrap();
        assert_eq!(rate.to_string(), "0.61");
        assert_eq!(rate.part_of(Credits::new(500)), Credits::new(305));
        assert_eq!(rate.part_of(Credits::new(1)), Credits::new(1), "rounded up");
        assert_eq!(usage.hit_rate(code("phone_finder")), None);
        assert_eq!(usage.overall_rate(), Some(rate));
        let all = Usage::of(&[email("risky", 3)]);
        assert_eq!(all.overall_rate().unwrap().to_string(), "1.00");
        let third = Usage::of(&[email("risky", 2), email("not_found", 1)]);
        assert_eq!(third.overall_rate().unwrap().to_string(), "0.67");
    }

    #[test]
    fn counts_charges_only() {
        let entry = charge(json!({ "action": "sms" }));
        let gift = Entry::new(&entry.team, None, Details::Gift {}, entry.at);
        assert!(Usage::of([&gift]).is_empty());
    }
}
