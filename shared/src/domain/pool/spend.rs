//! The forecast of a balance: how long it lasts at the spending rate of the last seven days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::time::Time;

const WEEK_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A forecast ends after this many seconds: ten years.
const FORECAST_SECONDS_MAX: u32 = 10 * 365 * 24 * 60 * 60;

/// The most old weeks that one write removes.
const OLD_WEEKS_MAX: usize = 20;

/// A week, counted from the Unix epoch. It starts on Thursday (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week(pub i64);

/// The credits spent per week. A charge and a new cycle remove weeks before the previous one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeeklySpend(pub(crate) BTreeMap<Week, Credits>);

/// The forecast of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Forecast {
    /// The credits spent in the last seven days.
    pub spent_in_a_week: Credits,
    /// The day (UTC) on which the balance reaches 0 at that rate, without a refill or a purchase;
    /// null if nothing was spent, or if the day is more than ten years away.
    pub lasts_until: Option<Date>,
}

impl Week {
    /// The week of `now`.
    #[must_use]
    pub fn of(now: Time) -> Self {
        Self(now.timestamp().as_second().div_euclid(WEEK_SECONDS))
    }

    /// The weeks 2 to 5 weeks before this one, which no forecast uses. Each charge removes them.
    #[must_use]
    pub fn old(self) -> [Self; 4] {
        [2, 3, 4, 5].map(|ago| self.before(ago))
    }

    const fn before(self, weeks: i64) -> Self {
        Self(self.0.saturating_sub(weeks))
    }
}

impl WeeklySpend {
    /// Adds credits to the spending of this week.
    ///
    /// # Errors
    /// [`TooMany`] if the spending of the week becomes larger than [`Credits::MAX`].
    pub fn add(&mut self, spent: Credits, now: Time) -> Result<(), TooMany> {
        let week = self.0.entry(Week::of(now)).or_default();
        *week = week.try_add(spent)?;
        Ok(())
    }

    /// Up to 20 stored weeks that no forecast uses.
    pub fn old(&self, now: Time) -> impl Iterator<Item = Week> {
        self.0.range(..Week::of(now).before(1)).map(|(week, _)| *week).take(OLD_WEEKS_MAX)
    }

    /// The credits spent in the last seven days: those of this week, and a part of the previous
    /// week's in proportion to the time left in this week.
    ///
    /// # Errors
    /// [`TooMany`] if they are more than [`Credits::MAX`].
    pub fn last_seven_days(&self, now: Time) -> Result<Credits, TooMany> {
        let spent_in = |week: Week| self.0.get(&week).copied().unwrap_or_default();
        let elapsed = now.timestamp().as_second().rem_euclid(WEEK_SECONDS);
        let left = WEEK_SECONDS.abs_diff(elapsed);
        let previous = spent_in(Week::of(now).before(1));
        let part = previous.checked_fraction(left.into(), WEEK_SECONDS.unsigned_abs().into());
        spent_in(Week::of(now)).try_add(part.ok_or(TooMany)?)
    }

    /// The forecast of `balance` at the rate of the last seven days.
    ///
    /// # Errors
    /// Those of [`WeeklySpend::last_seven_days`].
    pub fn forecast(&self, balance: Credits, now: Time) -> Result<Forecast, TooMany> {
        let spent = self.last_seven_days(now)?;
        let product = u128::from(balance.get()).saturating_mul(WEEK_SECONDS.unsigned_abs().into());
        let seconds = product.checked_div(spent.get().into());
        let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let seconds = seconds.filter(|seconds| *seconds <= FORECAST_SECONDS_MAX);
        let lasts_until = seconds.map(|seconds| now.plus_seconds(seconds).day());
        Ok(Forecast { spent_in_a_week: spent, lasts_until })
    }
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
        let seven_days = |now| weeks.last_seven_days(at(now)).unwrap().get();
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
        assert_eq!(old, [Week(2_869), Week(2_965)]);
    }

    #[test]
    fn forecast_divides_the_balance_by_the_rate() {
        let now = at("2026-11-12T00:00:00Z");
        let weeks = spent(&[("2026-11-06T00:00:00Z", 700)]);
        let until = |balance| weeks.forecast(Credits::new(balance), now).unwrap().lasts_until;
        assert_eq!(until(1_000), Some(jiff::civil::date(2026, 11, 22)));
        assert_eq!(until(0), Some(now.day()));
        assert_eq!(until(10_000_000), None);
        let unspent = WeeklySpend::default().forecast(Credits::new(1), now).unwrap();
        assert_eq!(unspent.lasts_until, None);
    }

    #[test]
    fn forecast_is_exact_for_large_amounts() {
        let now = at("2026-11-12T00:00:00Z");
        let weeks = spent(&[("2026-11-06T00:00:00Z", 10_000_000_000_000)]);
        let forecast = weeks.forecast(Credits::new(1_000_000_000_000_000), now).unwrap();
        assert_eq!(forecast.lasts_until, Some(jiff::civil::date(2028, 10, 12)), "700 days");
    }
}
