//! How long credits will last, at the rate of the last seven days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::time::Time;

/// The seconds of a week.
const WEEK: i64 = 7 * 24 * 60 * 60;

/// What is further away than these seconds, ten years, is not foretold.
const HORIZON: u64 = 10 * 365 * 24 * 60 * 60;

/// What was spent, by weeks of the Unix epoch. Older weeks than the last go with the next charge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WeeklySpend(BTreeMap<String, Credits>);

/// How long credits will last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The credits that were spent in the last seven days.
    pub spent_in_a_week: Credits,
    /// The day (UTC) on which nothing is left at that rate, without any refill or purchase; `None`
    /// if nothing was spent, or if that is more than ten years away.
    pub lasts_until: Option<Date>,
}

/// The counter of the week that an instant is in.
#[must_use]
pub fn week(now: Time) -> String {
    name(number(now))
}

/// The counters that no forecast needs any more, as far as they are likely to be there.
#[must_use]
pub fn old_weeks(now: Time) -> [String; 4] {
    [2, 3, 4, 5].map(|ago| name(number(now).saturating_sub(ago)))
}

/// The most old counters that one write removes.
const OLD_MAX: usize = 20;

fn number(now: Time) -> i64 {
    now.timestamp().as_second().div_euclid(WEEK)
}

fn name(number: i64) -> String {
    format!("w{number}")
}

impl WeeklySpend {
    /// Adds credits to the spending of this week.
    ///
    /// # Errors
    /// [`TooMany`] if it becomes larger than [`Credits::MAX`].
    pub fn add(&mut self, spent: Credits, now: Time) -> Result<(), TooMany> {
        let week = self.0.entry(week(now)).or_default();
        *week = week.try_add(spent)?;
        Ok(())
    }

    /// The names of some counters that no forecast needs any more.
    pub fn old(&self, now: Time) -> impl Iterator<Item = &str> {
        let needed = [week(now), name(number(now).saturating_sub(1))];
        let old = self.0.keys().filter(move |name| !needed.contains(name));
        old.map(String::as_str).take(OLD_MAX)
    }

    /// What was spent in the last seven days: all of this week, and of the week before the part that
    /// is as long as what is still to come of this one.
    #[must_use]
    pub fn last_seven_days(&self, now: Time) -> Credits {
        let of = |name| self.0.get(&name).copied().unwrap_or_default();
        let elapsed = now.timestamp().as_second().rem_euclid(WEEK);
        let (before, this) = (of(name(number(now).saturating_sub(1))), of(week(now)));
        let part = share(before, WEEK.saturating_sub(elapsed).unsigned_abs(), WEEK.unsigned_abs());
        this.checked_add(part).unwrap_or(Credits::MAX)
    }

    /// How long `balance` will last.
    #[must_use]
    pub fn forecast(&self, balance: Credits, now: Time) -> Forecast {
        let spent = self.last_seven_days(now);
        let seconds = balance.get().saturating_mul(WEEK.unsigned_abs()).checked_div(spent.get());
        let seconds = seconds.filter(|seconds| *seconds <= HORIZON);
        let last = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        Forecast {
            spent_in_a_week: spent,
            lasts_until: last.map(|seconds| now.plus_seconds(seconds).day()),
        }
    }
}

/// So many parts of a whole, rounded down.
fn share(credits: Credits, parts: u64, whole: u64) -> Credits {
    let product = u128::from(credits.get()).saturating_mul(parts.into());
    let share = product.checked_div(whole.into()).unwrap_or_default();
    Credits::new(u64::try_from(share).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn spent(days: &[(&str, u64)]) -> WeeklySpend {
        let mut weeks = WeeklySpend::default();
        for (day, credits) in days {
            weeks.add(Credits::new(*credits), at(day)).unwrap();
        }
        weeks
    }

    /// 2026-11-05 was a Thursday.
    #[test]
    fn the_week_before_counts_as_far_as_it_is_within_seven_days() {
        let weeks = spent(&[("2026-11-06T00:00:00Z", 700), ("2026-11-13T00:00:00Z", 10)]);
        let seven_days = |now| weeks.last_seven_days(at(now)).get();
        assert_eq!(seven_days("2026-11-12T00:00:00Z"), 710);
        assert_eq!(seven_days("2026-11-13T00:00:00Z"), 610);
        assert_eq!(seven_days("2026-11-18T23:59:59Z"), 10);
        assert_eq!(seven_days("2026-11-19T00:00:00Z"), 10);
        assert_eq!(seven_days("2026-11-26T00:00:00Z"), 0);
    }

    #[test]
    fn old_counters_are_all_but_the_last_two() {
        let weeks = spent(&[
            ("2025-01-01T00:00:00Z", 1),
            ("2026-10-30T00:00:00Z", 2),
            ("2026-11-06T00:00:00Z", 3),
            ("2026-11-13T00:00:00Z", 4),
        ]);
        let old: Vec<_> = weeks.old(at("2026-11-13T00:00:00Z")).collect();
        assert_eq!(old, ["w2869", "w2965"]);
    }

    #[test]
    fn credits_last_as_long_as_the_rate_says() {
        let now = at("2026-11-12T00:00:00Z");
        let weeks = spent(&[("2026-11-06T00:00:00Z", 700)]);
        let until = |balance| weeks.forecast(Credits::new(balance), now).lasts_until;
        assert_eq!(until(1_000), Some(jiff::civil::date(2026, 11, 22)));
        assert_eq!(until(0), Some(now.day()));
        assert_eq!(until(10_000_000), None);
        assert_eq!(WeeklySpend::default().forecast(Credits::new(1), now).lasts_until, None);
    }
}
