//! Lanes: blocks of a pool's credits that a process takes while writes of the pool conflict, so that
//! its next charges do not write the pool. A lane is stored as a [`Hold`]; its credits are part of
//! the balance that a team sees.
//!
//! [`Hold`]: crate::domain::hold::Hold

use std::time::Duration;

use crate::domain::Credits;
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// The life of a lane, in seconds, unless the cycle ends first.
pub const LANE_SECONDS: u32 = 5;

/// A lane takes at most 1/64 of the balance.
const BALANCE_DIVISOR: u128 = 64;

/// A lane for fewer charges than this is not opened.
const LANE_CHARGES_MIN: u64 = 4;

/// The charges that a lane without a recent rate is sized for.
const FIRST_LANE_CHARGES: u64 = 64;

/// A lane is not opened again with less than 1/4 of the credits that were left in it.
const REOPENED_DIVISOR: u64 = 4;

/// The recent spending of a process from its lane.
#[derive(Clone, Copy, Debug)]
pub struct RecentSpending {
    /// The credits spent.
    pub spent: Credits,
    /// The time in which they were spent.
    pub time: Duration,
}

impl RecentSpending {
    /// The credits spent in a lane's life at this rate; `None` if the amount is larger than
    /// [`Credits::MAX`].
    fn spent_in_lane_life(self) -> Option<Credits> {
        let life = Duration::from_secs(LANE_SECONDS.into()).as_millis();
        self.spent.checked_fraction(life, self.time.as_millis())
    }
}

/// The credits of a lane that is opened in the write of a charge of `cost`: the spending of a lane's
/// life at the recent rate, at most 1/64 of the balance after the charge. `None` if they cover fewer
/// than four charges.
#[must_use]
pub fn size(balance: Credits, cost: Credits, recent: Option<RecentSpending>) -> Option<Credits> {
    let one = cost.max(Credits::new(1));
    let most = balance.excess_over(cost).checked_fraction(1, BALANCE_DIVISOR)?;
    let size = match recent {
        None => one.checked_mul(FIRST_LANE_CHARGES)?.min(most),
        Some(recent) => recent.spent_in_lane_life().map_or(most, |spent| spent.min(most)),
    };
    (size >= one.checked_mul(LANE_CHARGES_MIN)?).then_some(size)
}

/// The credits of a lane that is opened again: the `left` credits of the lane, at most 1/64 of the
/// balance. `None` if that is less than a quarter of `left`.
#[must_use]
pub fn reopened_size(balance: Credits, left: Credits) -> Option<Credits> {
    let size = left.min(balance.checked_fraction(1, BALANCE_DIVISOR)?);
    (!size.is_zero() && size.get() >= left.get() / REOPENED_DIVISOR).then_some(size)
}

/// The expiry of a lane that is opened at `now`, at the latest the end of the cycle.
#[must_use]
pub fn expires_at(pool: &Pool, now: Time) -> Time {
    let end = now.plus_seconds(LANE_SECONDS);
    pool.due_at().map_or(end, |due| due.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reopened_lane_takes_the_credits_left_up_to_a_64th_of_the_balance() {
        let reopened_size =
            |balance, left| reopened_size(Credits::new(balance), Credits::new(left));
        assert_eq!(reopened_size(6_400, 7), Some(Credits::new(7)));
        assert_eq!(reopened_size(6_400, 400), Some(Credits::new(100)));
        assert_eq!(reopened_size(6_400, 404), None);
        assert_eq!(reopened_size(63, 1), None);
        assert_eq!(reopened_size(6_400, 0), None);
    }

    fn sized(balance: u64, cost: u64, recent: Option<(u64, u64)>) -> Option<u64> {
        let recent = recent.map(|(spent, ms)| RecentSpending {
            spent: Credits::new(spent),
            time: Duration::from_millis(ms),
        });
        size(Credits::new(balance), Credits::new(cost), recent).map(Credits::get)
    }

    #[test]
    fn a_lane_covers_the_recent_rate_up_to_a_64th_of_the_balance() {
        assert_eq!(sized(1_000_000, 5, None), Some(320), "64 charges without a rate");
        assert_eq!(sized(1_000_000, 5, Some((400, 1_000))), Some(2_000), "5 seconds at the rate");
        assert_eq!(sized(6_405, 5, Some((400, 1_000))), Some(100), "one 64th of the balance");
        assert_eq!(sized(1_284, 5, None), None, "fewer than 4 charges");
        assert_eq!(sized(1_285, 5, None), Some(20));
        assert_eq!(sized(1_000_000, 5, Some((5, 4_000))), None, "too slow for a lane");
        assert_eq!(sized(1_000_000, 0, None), Some(64), "charges of 0 credits");
        assert_eq!(sized(0, 5, None), None);
    }
}
