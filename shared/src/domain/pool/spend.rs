//! The forecast of a balance: how long it lasts at the spending rate of the last seven days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::time::Time;

const WEEK_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A forecast ends after this many seconds: ten years.
const FORECAST_SECONDS_MAX: u32 = 10 * 365 * 24 * 60 * 60;

/// The credits spent per week, counted from the Unix epoch. A charge and a new cycle remove counters
/// of weeks before the previous one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WeeklySpend(BTreeMap<String, Credits>);

/// The forecast of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The credits spent in the last seven days.
    pub spent_in_a_week: Credits,
    /// The day (UTC) on which the balance reaches 0 at that rate, without a refill or a purchase;
    /// `None` if nothing was spent, or if the day is more than ten years away.
    pub lasts_until: Option<Date>,
}

/// The name of the counter for the week of `now`.
#[must_use]
pub fn week(now: Time) -> String {
    counter_name(week_number(now))
}

/// The names of the counters for 2 to 5 weeks ago, which no forecast uses. Each charge removes them.
#[must_use]
pub fn old_weeks(now: Time) -> [String; 4] {
    [2, 3, 4, 5].map(|ago| counter_name(week_number(now).saturating_sub(ago)))
}

/// The most old counters that one write removes.
const OLD_WEEKS_MAX: usize = 20;

fn week_number(now: Time) -> i64 {
    now.timestamp().as_second().div_euclid(WEEK_SECONDS)
}

fn counter_name(number: i64) -> String {
    format!("w{number}")
}

impl WeeklySpend {
    /// Adds credits to the spending of this week.
    ///
    /// # Errors
    /// [`TooMany`] if the spending of the week becomes larger than [`Credits::MAX`].
    pub fn add(&mut self, spent: Credits, now: Time) -> Result<(), TooMany> {
        let week = self.0.entry(week(now)).or_default();
        *week = week.try_add(spent)?;
        Ok(())
    }

    /// The names of up to 20 counters that no forecast uses.
    pub fn old(&self, now: Time) -> impl Iterator<Item = &str> {
        let needed = [week(now), counter_name(week_number(now).saturating_sub(1))];
        let old = self.0.keys().filter(move |name| !needed.contains(name));
        old.map(String::as_str).take(OLD_WEEKS_MAX)
    }

    /// The credits spent in the last seven days: those of this week, and a part of the previous
    /// week's in proportion to the time left in this week.
    #[must_use]
    pub fn last_seven_days(&self, now: Time) -> Credits {
        let spent_in = |counter: String| self.0.get(&counter).copied().unwrap_or_default();
        let elapsed = now.timestamp().as_second().rem_euclid(WEEK_SECONDS);
        let left = WEEK_SECONDS.saturating_sub(elapsed).unsigned_abs();
        let previous = spent_in(counter_name(week_number(now).saturating_sub(1)));
        let part = fraction(previous, left, WEEK_SECONDS.unsigned_abs());
        spent_in(week(now)).checked_add(part).unwrap_or(Credits::MAX)
    }

    /// The forecast of `balance` at the rate of the last seven days.
    #[must_use]
    pub fn forecast(&self, balance: Credits, now: Time) -> Forecast {
        let spent = self.last_seven_days(now);
        let product = u128::from(balance.get()).saturating_mul(WEEK_SECONDS.unsigned_abs().into());
        let seconds = product.checked_div(spent.get().into());
        let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| *seconds <= FORECAST_SECONDS_MAX);
        let lasts_until = seconds.map(|seconds| now.plus_seconds(seconds).day());
        Forecast { spent_in_a_week: spent, lasts_until }
    }
}

/// `credits` times `part / whole`, rounded down. `part` is at most `whole`.
fn fraction(credits: Credits, part: u64, whole: u64) -> Credits {
    let product = u128::from(credits.get()).saturating_mul(part.into());
    let fraction = product.checked_div(whole.into()).unwrap_or_default();
    u64::try_from(fraction).map_or(credits, Credits::new)
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

    /// Weeks start on Thursday, as the Unix epoch does; 2026-11-05 is a Thursday.
    #[test]
    fn the_previous_week_counts_in_proportion() {
        let weeks = spent(&[("2026-11-06T00:00:00Z", 700), ("2026-11-13T00:00:00Z", 10)]);
        let seven_days = |now| weeks.last_seven_days(at(now)).get();
        assert_eq!(seven_days("2026-11-12T00:00:00Z"), 710);
        assert_eq!(seven_days("2026-11-13T00:00:00Z"), 610);
        assert_eq!(seven_days("2026-11-18T23:59:59Z"), 10);
        assert_eq!(seven_days("2026-11-19T00:00:00Z"), 10);
        assert_eq!(seven_days("2026-11-26T00:00:00Z"), 0);
    }

    #[test]
    fn all_but_the_last_two_weeks_are_old() {
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
    fn forecast_divides_the_balance_by_the_rate() {
        let now = at("2026-11-12T00:00:00Z");
        let weeks = spent(&[("2026-11-06T00:00:00Z", 700)]);
        let until = |balance| weeks.forecast(Credits::new(balance), now).lasts_until;
        assert_eq!(until(1_000), Some(jiff::civil::date(2026, 11, 22)));
        assert_eq!(until(0), Some(now.day()));
        assert_eq!(until(10_000_000), None);
        assert_eq!(WeeklySpend::default().forecast(Credits::new(1), now).lasts_until, None);
    }

    #[test]
    fn forecast_is_exact_for_large_amounts() {
        let now = at("2026-11-12T00:00:00Z");
        let weeks = spent(&[("2026-11-06T00:00:00Z", 10_000_000_000_000)]);
        let forecast = weeks.forecast(Credits::new(1_000_000_000_000_000), now);
        assert_eq!(forecast.lasts_until, Some(jiff::civil::date(2028, 10, 12)), "700 days");
    }
}
