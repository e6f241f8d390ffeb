//! Holds: taken, released and expired.

use std::collections::BTreeMap;

use super::calendar::tomorrow;
use super::{Day, Event, Hold, Reference, Request, count};
use crate::support::operations::{Answer, Size};

impl Reference {
    pub(super) fn hold(&mut self, key: u16, size: Size, days: u8) -> Answer {
        if !self.exists {
            return Answer::NoTeam;
        }
        self.apply_due();
        let request = Request::Hold(size, days);
        if let Some(answer) = self.repeated(key, &request) {
            return answer;
        }
        if self.closed {
            return Answer::Closed;
        }
        let credits = match size {
            Size::Credits(credits) => u64::from(credits),
            Size::Leads { leads, phones: false } => u64::from(leads) * 5,
            Size::Leads { leads, phones: true } => u64::from(leads) * (5 + 20),
        };
        let balance = self.balance();
        if credits > balance {
            return Answer::Insufficient { balance, required: credits };
        }
        let mut expires = self.today;
        for _ in 0..days {
            expires = tomorrow(expires);
        }
        self.holds.insert(
            key,
            Hold {
                credits,
                captured: 0,
                is_open: true,
                expires,
                used: BTreeMap::new(),
                taken_paused: self.paused,
            },
        );
        self.events.push(Event::Hold(key));
        self.check_thresholds();
        self.write("hold", 0);
        self.answered.insert(key, (request, credits));
        Answer::Done(credits)
    }

    pub(super) fn release(&mut self, key: u16, hold: u16) -> Answer {
        let Some(found) = self.holds.get(&hold) else { return Answer::NoHold };
        let is_open = found.is_open && found.expires > self.today;
        if let Some(answer) = self.repeated(key, &Request::Release(hold)) {
            return answer;
        }
        if !is_open {
            return Answer::HoldClosed;
        }
        if self.is_over() {
            self.apply_due();
        }
        self.close_hold(hold);
        let captured = self.holds[&hold].captured;
        self.answered.insert(key, (Request::Release(hold), captured));
        Answer::Done(captured)
    }

    /// Closes a hold. Credits that return to neither bucket have expired.
    pub(super) fn close_hold(&mut self, key: u16) {
        let before = self.balance();
        let hold = self.holds.get_mut(&key).unwrap();
        hold.is_open = false;
        let rest = hold.credits - hold.captured;
        for (action, counted) in std::mem::take(&mut hold.used) {
            count(&mut self.used, &action, counted);
        }
        let lapsed = rest - (self.balance() - before);
        self.expired_late += lapsed;
        self.write("release", 0);
        self.write("expiry", -i64::try_from(lapsed).unwrap());
        self.check_thresholds();
    }

    pub(super) fn expire(&mut self, by: Day) {
        let due = |hold: &Hold| hold.is_open && hold.expires <= by;
        let due: Vec<u16> =
            self.holds.iter().filter(|(_, hold)| due(hold)).map(|(key, _)| *key).collect();
        for key in due {
            self.close_hold(key);
        }
    }
}
