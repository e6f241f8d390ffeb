//! Automatic top-ups: credits that a team buys by itself.
//!
//! One is due when the team's credits fall below what its admins have chosen, once for each time that
//! they do; to turn it on while they are, or to raise its limit, is as if they fell just then. The
//! credits of a calendar month stay within the limit that was chosen. After one whose payment has
//! failed there are none until an admin puts the settings anew.

use serde::Serialize;

use crate::domain::pool::top_ups::TopUps;
use crate::domain::pool::{Account, Pool};
use crate::domain::settings::AutoTopUp;
use crate::domain::time::Time;

/// How automatic top-ups stand with a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The team has not chosen any.
    Off,
    /// The next one is due when the credits fall below what was chosen.
    On,
    /// The payment of the last one has failed; an admin has to choose anew.
    Failed,
}

impl Pool {
    /// How automatic top-ups stand.
    #[must_use]
    pub fn top_up_state(&self) -> State {
        match (self.terms.account, self.settings.auto_top_up, &self.failed_top_up) {
            (Account::Closed, _, _) | (Account::Active, None, _) => State::Off,
            (Account::Active, Some(_), Some(_)) => State::Failed,
            (Account::Active, Some(_), None) => State::On,
        }
    }

    /// The top-up that the team has chosen, while its credits are below where it wants one.
    #[must_use]
    pub fn wanted_top_up(&self) -> Option<AutoTopUp> {
        let chosen = self.settings.auto_top_up.filter(|_| self.top_up_state() == State::On);
        chosen.filter(|chosen| self.all_credits() < chosen.below)
    }

    /// What counts in this month after the top-up that is wanted, if one is and the limit allows it.
    #[must_use]
    pub fn top_up(&self, now: Time) -> Option<(AutoTopUp, TopUps)> {
        let wanted = self.wanted_top_up()?;
        let so_far = TopUps::at(self.top_ups, now);
        Some((wanted, so_far.with_purchase(wanted.credits, wanted.monthly_limit)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Credits;
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

    fn bought(pool: &Pool, now: &str) -> Option<u64> {
        pool.top_up(at(now)).map(|(_, after)| after.bought.get())
    }

    #[test]
    fn a_month_has_a_limit() {
        let mut pool = pool(499);
        for expected in [Some(200), Some(400), Some(600), None] {
            let next = pool.top_up(at("2028-02-29T23:59:59Z"));
            assert_eq!(next.map(|(_, after)| after.bought.get()), expected);
            pool.top_ups = next.map(|(_, after)| after).or(pool.top_ups);
        }
        pool.top_ups = pool.top_up(at("2028-03-01T00:00:00Z")).map(|(_, after)| after);
        assert_eq!(pool.top_ups.unwrap().bought.get(), 200, "a month later");
        assert_eq!(bought(&pool, "2028-02-29T23:59:59Z"), Some(400), "by a clock that is late");
    }

    #[test]
    fn none_is_wanted_unless_the_team_is_below() {
        assert_eq!(pool(500).wanted_top_up(), None);
        let mut with_a_lane = pool(400);
        with_a_lane.lanes = Credits::new(100);
        assert_eq!(with_a_lane.wanted_top_up(), None);
        let mut off = pool(0);
        off.settings.auto_top_up = None;
        assert_eq!((off.wanted_top_up(), off.top_up_state()), (None, State::Off));
        let mut closed = pool(0);
        closed.terms.account = Account::Closed;
        assert_eq!((closed.wanted_top_up(), closed.top_up_state()), (None, State::Off));
        let mut failed = pool(0);
        failed.failed_top_up = Some("t_1".parse().unwrap());
        assert_eq!((failed.wanted_top_up(), failed.top_up_state()), (None, State::Failed));
    }

    #[test]
    fn what_has_failed_counts_no_longer_in_its_month() {
        let (january, event) = (at("2027-01-31T10:00:00Z"), "ev_1".parse().unwrap());
        let team = "t".parse().unwrap();
        let purchase = Purchase::top_up(&team, &event, Credits::new(200), january);
        let so_far = |month| TopUps { month, bought: Credits::new(600) };
        let [in_january, in_february] =
            [(2027, 1), (2027, 2)].map(|(year, month)| jiff::civil::date(year, month, 1));
        assert_eq!(so_far(in_january).without(&purchase).bought.get(), 400);
        assert_eq!(so_far(in_february).without(&purchase).bought.get(), 600);
    }
}
