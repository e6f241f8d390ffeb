//! The counters of payers: what was charged, by action and by week. They are flat attributes, because a write adds to
//! them without reading them.
//!
//! Names are short, because an expression has at most 4 KB: a write of charges adds to the counters of at most
//! [`ACTIONS_PER_WRITE_MAX`] actions, the return of a hold or a lane to those of all. A counter of an action is named
//! by the code of the action and a letter, such as `efa`; a counter of a week by its number, such as `w2965`.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::dynamo::expression::Expression;
use crate::domain::Credits;
use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::pool::spend::{Week, WeeklySpend};
use crate::domain::pool::usage::{Counts, Usage};
use crate::domain::time::Time;

/// The most actions to whose counters a write adds without having read them. The expression has 38 bytes for each
/// counter.
pub(super) const ACTIONS_PER_WRITE_MAX: usize = 21;

/// The most counters of an open hold, in its item: those of four actions. A capture that needs another one first moves
/// the counters to the pool.
pub(super) const HOLD_COUNTERS_MAX: usize = 12;

/// The most actions of one write of captures.
pub(super) const ACTIONS_PER_CAPTURE_MAX: usize = 4;

/// The last letter of each counter of an action.
const ATTEMPTS: &str = "a";
const CHARGED: &str = "c";
const SPENT: &str = "s";

/// The counters of usage that are not zero, with their names.
fn counters(used: &Usage) -> impl Iterator<Item = (String, u64)> {
    let of_action = |(code, counts): (&ActionCode, &Counts)| {
        let Counts { attempts, charged, credits } = *counts;
        [(ATTEMPTS, attempts), (CHARGED, charged), (SPENT, credits.get())]
            .map(|(letter, count)| (format!("{code}{letter}"), count))
    };
    let known = used.counts.iter().flat_map(of_action).filter(|(_, count)| *count > 0);
    known.chain(used.unknown.clone())
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counters(self))
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut used = Self::default();
        for (name, count) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            let code = name.get(..2).and_then(ActionCode::of);
            match code.zip(name.get(2..)) {
                Some((code, ATTEMPTS)) => used.counts.entry(code).or_default().attempts = count,
                Some((code, CHARGED)) => used.counts.entry(code).or_default().charged = count,
                Some((code, SPENT)) => {
                    let credits = count.try_into().map_err(D::Error::custom)?;
                    used.counts.entry(code).or_default().credits = credits;
                }
                Some(_) | None => _ = used.unknown.insert(name, count),
            }
        }
        Ok(used)
    }
}

/// Whether a hold with the usage `seen` has room for the counters of more usage.
pub(super) fn has_hold_room(seen: &Usage, more: &Usage) -> bool {
    let names = |used| counters(used).map(|(name, _)| name).collect::<BTreeSet<_>>();
    let (seen, more) = (names(seen), names(more));
    seen.len().saturating_add(more.len()) <= HOLD_COUNTERS_MAX || more.is_subset(&seen)
}

/// Whether the absence of another counter implies that of this one: an action without attempts has no other counter,
/// and the units with a cost and the cost are counted together.
fn is_implied(counter: &str, existing: &BTreeSet<String>) -> bool {
    let Some((code, letter)) = counter.split_at_checked(2) else { return false };
    letter == SPENT || letter == CHARGED && !existing.contains(&format!("{code}{ATTEMPTS}"))
}

fn week_name(week: Week) -> String {
    format!("w{}", week.0)
}

impl Serialize for WeeklySpend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(week, spent)| (week_name(*week), spent)))
    }
}

/// Other names are of a newer version of the code. They stay in the item.
impl<'de> Deserialize<'de> for WeeklySpend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let counters = BTreeMap::<String, Credits>::deserialize(deserializer)?.into_iter();
        let week = |name: String| name.strip_prefix('w')?.parse().ok().map(Week);
        let weeks = counters.filter_map(|(name, spent)| Some((week(name)?, spent)));
        Ok(Self(weeks.collect()))
    }
}

impl Expression {
    /// Adds usage to the counters of a pool, a hold or a lane.
    #[must_use]
    pub(super) fn add_usage(self, used: &Usage) -> Self {
        if used.is_empty() {
            return self;
        }
        let add = |expression: Self, (counter, more): (String, u64)| {
            expression
                .set(format!("#u.{counter}=if_not_exists(#u.{counter},:o)+:{counter}"))
                .value(&format!(":{counter}"), more)
        };
        counters(used).fold(self.name("#u", "used").value(":o", 0), add)
    }

    /// Adds usage to the counters of an open hold, on condition that it has room for them, see [`has_hold_room`].
    #[must_use]
    pub(super) fn add_usage_to_hold(self, used: &Usage) -> Self {
        if used.is_empty() {
            return self;
        }
        let exist = counters(used).map(|(name, _)| format!("attribute_exists(#u.{name})"));
        let exist = exist.collect::<Vec<_>>();
        let room = HOLD_COUNTERS_MAX.saturating_sub(exist.len());
        self.when(format!("(size(#u) <= :room OR ({}))", exist.join(" AND ")))
            .value(":room", room)
            .add_usage(used)
    }

    /// Adds usage to the counters of a pool as it was read. Without many actions this is [`Expression::add_usage`].
    /// For many actions the expression is shorter: it adds to counters that exist, and sets others on condition that
    /// they do not exist. Only a change of the terms removes counters.
    #[must_use]
    pub(super) fn add_usage_to(self, seen: &Usage, used: &Usage) -> Self {
        if used.counts.len() <= ACTIONS_PER_WRITE_MAX {
            return self.add_usage(used);
        }
        let existing: BTreeSet<String> = counters(seen).map(|(counter, _)| counter).collect();
        let add = |update: Self, (counter, more): (String, u64)| {
            let update = update.value(&format!(":{counter}"), more);
            if existing.contains(&counter) {
                return update.set(format!("#u.{counter}=#u.{counter}+:{counter}"));
            }
            let update = update.set(format!("#u.{counter}=:{counter}"));
            if is_implied(&counter, &existing) {
                return update;
            }
            update.when(format!("attribute_not_exists(#u.{counter})"))
        };
        counters(used).fold(self.name("#u", "used"), add)
    }

    /// Adds credits to a pool's spending of this week, and removes the counters of weeks that the forecast no
    /// longer uses.
    #[must_use]
    pub(super) fn add_weekly_spend(self, spent: Credits, now: Time) -> Self {
        if spent.is_zero() {
            return self;
        }
        let week = Week::of(now);
        let name = week_name(week);
        self.remove_weeks(week.old())
            .set(format!("weeks.{name} = if_not_exists(weeks.{name}, :unspent) + :spent"))
            .value(":unspent", 0)
            .value(":spent", spent)
    }

    /// Removes the counters of weeks from a pool.
    #[must_use]
    pub(super) fn remove_weeks(self, weeks: impl IntoIterator<Item = Week>) -> Self {
        let remove = |update: Self, week| update.remove(format!("weeks.{}", week_name(week)));
        weeks.into_iter().fold(self, remove)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn usage_is_stored_as_flat_counters_without_zeros() {
        let stored =
            json!({ "efa": 4, "efc": 3, "efs": 15, "smx": 1, "zza": 2, "zzs": 7, "other": 9 });
        let used: Usage = serde_json::from_value(stored.clone()).unwrap();
        let code = |text| ActionCode::of(text).unwrap();
        let email = Counts { attempts: 4, charged: 3, credits: Credits::new(15) };
        assert_eq!(used.counts[&code("ef")], email);
        assert_eq!(used.counts[&code("zz")].charged, 0);
        assert_eq!(used.spent(), Ok(Credits::new(22)), "an unknown action is counted");
        assert_eq!(serde_json::to_value(&used).unwrap(), stored);
        let mut twice = used.clone();
        twice.merge(&used).unwrap();
        assert_eq!(serde_json::to_value(&twice).unwrap()["other"], 18);
        assert!(serde_json::from_value::<Usage>(json!({ "efs": 1_u64 << 53 })).is_err());
    }

    #[test]
    fn weeks_are_stored_by_number_and_other_names_are_ignored() {
        let stored = json!({ "w2965": 3, "w2966": 4, "m12": 5 });
        let weeks: WeeklySpend = serde_json::from_value(stored).unwrap();
        assert_eq!(serde_json::to_value(&weeks).unwrap(), json!({ "w2965": 3, "w2966": 4 }));
    }
}
