//! Automatic top-ups.
//!
//! A top-up is due once per downward crossing of its threshold. Turning it on or raising its monthly
//! limit while the credits are below the threshold counts as a crossing. The top-ups of a calendar
//! month stay within the monthly limit. After a failed payment no top-up follows until an admin puts
//! the settings.

use serde::Serialize;

use crate::domain::pool::top_ups::TopUps;
use crate::domain::pool::{Account, Pool};
use crate::domain::settings::AutoTopUp;
use crate::domain::time::Time;

/// The state of a team's automatic top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TopUpState {
    /// It is not set, or the account is closed.
    Off,
    /// The next one is due when the credits fall below its threshold.
    On,
    /// The last payment failed; an admin must put the settings.
    Failed,
}

impl Pool {
    /// The state of the automatic top-up.
    #[must_use]
    pub fn top_up_state(&self) -> TopUpState {
        match (self.terms.account, self.settings.auto_top_up, &self.failed_top_up) {
            (Account::Closed, _, _) | (Account::Active, None, _) => TopUpState::Off,
            (Account::Active, Some(_), Some(_)) => TopUpState::Failed,
            (Account::Active, Some(_), None) => TopUpState::On,
        }
    }

    /// The automatic top-up if it is on and the credits are below its threshold.
    #[must_use]
    pub fn wanted_top_up(&self) -> Option<AutoTopUp> {
        let top_up = self.settings.auto_top_up.filter(|_| self.top_up_state() == TopUpState::On);
        top_up.filter(|top_up| self.is_below(top_up.below))
    }

    /// The wanted top-up and the month's top-ups after it; `None` if none is wanted or the monthly
    /// limit does not allow it.
    #[must_use]
    pub fn top_up(&self, now: Time) -> Option<(AutoTopUp, TopUps)> {
        let wanted = self.wanted_top_up()?;
        let month = TopUps::at(self.top_ups, now);
        Some((wanted, month.with_purchase(wanted.credits, wanted.monthly_limit)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Credits;
    use crate::domain::catalogue::fixtures::prices;
    use crate::domain::purchase::Purchase;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn pool(credits: u64) -> Pool {
        let mut pool = Pool::open("t".parse().unwrap());
        pool.balance.credits = Credits::new(credits);
        pool.settings.auto_top_up = Some(AutoTopUp {
            below: Credits::new(500),
            credits: Credits::new(200),
            monthly_limit: Credits::new(600),
        });
        pool
    }

    fn bought_after(pool: &Pool, now: &str) -> Option<u64> {
        pool.top_up(at(now)).map(|(_, after)| after.bought.get())
    }

    #[test]
    fn top_ups_stay_within_the_monthly_limit() {
        let mut pool = pool(499);
        for expected in [Some(200), Some(400), Some(600), None] {
            let next = pool.top_up(at("2028-02-29T23:59:59Z"));
            assert_eq!(next.map(|(_, after)| after.bought.get()), expected);
            pool.top_ups = next.map(|(_, after)| after).or(pool.top_ups);
        }
        pool.top_ups = pool.top_up(at("2028-03-01T00:00:00Z")).map(|(_, after)| after);
        assert_eq!(pool.top_ups.unwrap().bought.get(), 200, "a month later");
        assert_eq!(
            bought_after(&pool, "2028-02-29T23:59:59Z"),
            Some(400),
            "a late clock counts in the stored month"
        );
    }

    #[test]
    fn no_top_up_is_wanted_unless_it_is_on_and_credits_are_below() {
        assert_eq!(pool(500).wanted_top_up(), None);
        let mut with_a_lane = pool(400);
        with_a_lane.lanes = Credits::new(100);
        assert_eq!(with_a_lane.wanted_top_up(), None);
        let mut off = pool(0);
        off.settings.auto_top_up = None;
        assert_eq!((off.wanted_top_up(), off.top_up_state()), (None, TopUpState::Off));
        let mut closed = pool(0);
        closed.terms.account = Account::Closed;
        assert_eq!((closed.wanted_top_up(), closed.top_up_state()), (None, TopUpState::Off));
        let mut failed = pool(0);
        failed.failed_top_up = Some("t_1".parse().unwrap());
        assert_eq!((failed.wanted_top_up(), failed.top_up_state()), (None, TopUpState::Failed));
    }

    #[test]
    fn a_failed_top_up_is_subtracted_from_its_month_only() {
        let (january, event) = (at("2027-01-31T10:00:00Z"), "ev_1".parse().unwrap());
        let team = "t".parse().unwrap();
        let offer = prices().offer(Credits::new(200)).unwrap();
        let purchase = Purchase::top_up(&team, &event, offer, january);
        let top_ups = |month| TopUps { month, bought: Credits::new(600) };
        let [in_january, in_february] =
            [(2027, 1), (2027, 2)].map(|(year, month)| jiff::civil::date(year, month, 1));
        assert_eq!(top_ups(in_january).without(&purchase).bought.get(), 400);
        assert_eq!(top_ups(in_february).without(&purchase).bought.get(), 600);
    }
}
