//! Lanes: blocks of a pool's credits that a process takes for itself while the pool pushes back, so
//! that its charges need not touch the pool. A lane is a hold of its own kind, see [`Hold`]; to the
//! team its credits are part of the balance.
//!
//! [`Hold`]: crate::domain::hold::Hold

use std::time::Duration;

use crate::domain::Credits;
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// How long a lane lasts, in seconds, unless the cycle ends before.
pub const LANE_SECONDS: u32 = 5;

/// A lane is at most one of so many parts of the balance.
const BALANCE_PARTS: u64 = 64;

/// A lane for fewer charges than this is not worth it.
const LANE_CHARGES_MIN: u64 = 4;

/// The first lane of a process, which knows nothing of its rate yet, is for so many charges.
const FIRST_LANE_CHARGES: u64 = 64;

/// A lane is not opened again for less than one of so many parts of what was left in it.
const REOPEN_PARTS_MAX: u64 = 4;

/// What a process spent lately, and in what time.
#[derive(Clone, Copy, Debug)]
pub struct Recent {
    /// The credits.
    pub spent: Credits,
    /// The time.
    pub time: Duration,
}

/// How many credits a lane takes besides the `cost` of the charge that it comes with: as many as its
/// life needs at the recent rate, and a small part of the balance at most. `None` if that is not
/// worth it.
#[must_use]
pub fn size(balance: Credits, cost: Credits, recent: Option<Recent>) -> Option<Credits> {
    let one = cost.max(Credits::new(1));
    let wanted = match recent {
        None => one.checked_mul(FIRST_LANE_CHARGES)?,
        Some(Recent { spent, time }) => {
            let life = u64::from(LANE_SECONDS).saturating_mul(1_000);
            let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Credits::new(spent.get().saturating_mul(life).checked_div(time).unwrap_or(u64::MAX))
        }
    };
    let most = Credits::new(balance.excess_over(cost).get() / BALANCE_PARTS);
    let size = wanted.min(most);
    (size >= one.checked_mul(LANE_CHARGES_MIN)?).then_some(size)
}

/// How many credits a lane takes that is opened again: as many as were left in it, and a small part
/// of the balance at most. `None` if that is little against what was left.
#[must_use]
pub fn size_again(balance: Credits, left: Credits) -> Option<Credits> {
    let size = left.min(Credits::new(balance.get() / BALANCE_PARTS));
    (!size.is_zero() && size.get() >= left.get() / REOPEN_PARTS_MAX).then_some(size)
}

/// When a lane that is taken now expires: no lane outlives the cycle.
#[must_use]
pub fn expires_at(pool: &Pool, now: Time) -> Time {
    let end = now.plus_seconds(LANE_SECONDS);
    pool.due_at().map_or(end, |due| due.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_opened_again_with_its_rest_and_is_small_against_the_balance() {
        let size_again = |balance, left| size_again(Credits::new(balance), Credits::new(left));
        assert_eq!(size_again(6_400, 7), Some(Credits::new(7)));
        assert_eq!(size_again(6_400, 400), Some(Credits::new(100)));
        assert_eq!(size_again(6_400, 404), None);
        assert_eq!(size_again(63, 1), None);
        assert_eq!(size_again(6_400, 0), None);
    }

    fn sized(balance: u64, cost: u64, recent: Option<(u64, u64)>) -> Option<u64> {
        let recent = recent.map(|(spent, ms)| Recent {
            spent: Credits::new(spent),
            time: Duration::from_millis(ms),
        });
        size(Credits::new(balance), Credits::new(cost), recent).map(Credits::get)
    }

    #[test]
    fn a_lane_follows_the_rate_and_is_small_against_the_balance() {
        assert_eq!(sized(1_000_000, 5, None), Some(320), "64 charges for a start");
        assert_eq!(sized(1_000_000, 5, Some((400, 1_000))), Some(2_000), "5 seconds' worth");
        assert_eq!(sized(6_405, 5, Some((400, 1_000))), Some(100), "one 64th of the balance");
        assert_eq!(sized(1_284, 5, None), None, "fewer than 4 charges");
        assert_eq!(sized(1_285, 5, None), Some(20));
        assert_eq!(sized(1_000_000, 5, Some((5, 4_000))), None, "too slow to need one");
        assert_eq!(sized(1_000_000, 0, None), Some(64), "what costs nothing needs one as well");
        assert_eq!(sized(0, 5, None), None);
    }
}
