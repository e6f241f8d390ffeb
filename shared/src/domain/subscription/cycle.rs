//! Monthly cycles in UTC, anchored on the start day of the subscription.

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::time::Time;

/// The days from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cycle {
    /// The first day.
    pub start: Date,
    /// The day after the last, the first day of the next cycle.
    pub end: Date,
}

impl Cycle {
    /// The cycle that contains `day`, or the first one if `day` is before the anchor.
    ///
    /// Each cycle starts on the anchor's day of the month, clamped to the month's last day. Starts
    /// are computed from the anchor, so they do not drift.
    #[must_use]
    pub fn containing(anchor: Date, day: Date) -> Self {
        let months = |date: Date| {
            i32::from(date.year()).saturating_mul(12).saturating_add(date.month().into())
        };
        let elapsed = months(day).saturating_sub(months(anchor)).max(0);
        let is_started = elapsed == 0 || start_after(anchor, elapsed) <= day;
        let first = if is_started { elapsed } else { elapsed.saturating_sub(1) };
        let (start, end) =
            (start_after(anchor, first), start_after(anchor, first.saturating_add(1)));
        Self { start, end }
    }

    /// The end of the cycle: the first instant of the day `end`.
    #[must_use]
    pub fn ends_at(self) -> Time {
        Time::start_of(self.end)
    }
}

/// The start of the cycle `months` months after the anchor.
fn start_after(anchor: Date, months: i32) -> Date {
    anchor.saturating_add(months.months())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn month_ends_are_clamped_without_drift() {
        let starts: Vec<Date> =
            (0..5).map(|months| start_after(date(2027, 1, 31), months)).collect();
        let days = [(1, 31), (2, 28), (3, 31), (4, 30), (5, 31)];
        assert_eq!(starts, days.map(|(month, day)| date(2027, month, day)));
        assert_eq!(start_after(date(2028, 1, 31), 1), date(2028, 2, 29));
        assert_eq!(start_after(date(2028, 2, 29), 12), date(2029, 2, 28));
        assert_eq!(start_after(date(2028, 2, 29), 48), date(2032, 2, 29));
    }

    #[test]
    fn every_day_is_in_exactly_one_cycle() {
        for anchor in [
            date(2027, 1, 1),
            date(2027, 1, 29),
            date(2027, 1, 30),
            date(2027, 1, 31),
            date(2028, 2, 29),
        ] {
            let mut day = anchor;
            let mut current = Cycle::containing(anchor, anchor);
            assert_eq!(current.start, anchor);
            for _ in 0..1_500 {
                if day == current.end {
                    let next = Cycle::containing(anchor, day);
                    assert_eq!(next.start, current.end, "no gap and no overlap");
                    current = next;
                }
                assert_eq!(Cycle::containing(anchor, day), current, "{anchor} {day}");
                assert!(current.start <= day && day < current.end);
                day = day.tomorrow().unwrap();
            }
        }
    }

    #[test]
    fn a_cycle_ends_at_the_first_instant_of_its_end_day() {
        let cycle = Cycle::containing(date(2026, 11, 3), date(2026, 11, 22));
        assert_eq!((cycle.start, cycle.end), (date(2026, 11, 3), date(2026, 12, 3)));
        assert_eq!(cycle.ends_at().to_string(), "2026-12-03T00:00:00.000Z");
    }
}
