//! Holds.

use std::collections::BTreeMap;

use super::calendar::tomorrow;
use super::{Asked, Day, Event, Hold, Reference, count};
use crate::support::operations::{Came, Size};

impl Reference {
    pub(super) fn hold(&mut self, key: u16, size: Size, days: u8) -> Came {
        if !self.exists {
            return Came::NoTeam;
        }
        self.lapse();
        let asked = Asked::Hold(size, days);
        if let Some(came) = self.repeated(key, &asked) {
            return came;
        }
        if self.closed {
            return Came::Closed;
        }
        let credits = match size {
            Size::Credits(credits) => u64::from(credits),
            Size::Leads { leads, phones: false } => u64::from(leads) * 5,
            Size::Leads { leads, phones: true } => u64::from(leads) * (5 + 20),
        };
        let balance = self.balance();
        if credits > balance {
            return Came::Short { balance, required: credits };
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
        self.look();
        self.write("hold", 0);
        self.done.insert(key, (asked, credits));
        Came::Done(credits)
    }

    pub(super) fn release(&mut self, key: u16, hold: u16) -> Came {
        let Some(found) = self.holds.get(&hold) else { return Came::NoHold };
        let is_open = found.is_open && found.expires > self.today;
        if let Some(came) = self.repeated(key, &Asked::Release(hold)) {
            return came;
        }
        if !is_open {
            return Came::HoldClosed;
        }
        if self.is_over() {
            self.lapse();
        }
        self.give_back(hold);
        let captured = self.holds[&hold].captured;
        self.done.insert(key, (Asked::Release(hold), captured));
        Came::Done(captured)
    }

    /// Closes a hold. What came back to neither bucket has lapsed.
    pub(super) fn give_back(&mut self, key: u16) {
        let before = self.balance();
        let hold = self.holds.get_mut(&key).unwrap();
        hold.is_open = false;
        let rest = hold.credits - hold.captured;
        for (action, counted) in std::mem::take(&mut hold.used) {
            count(&mut self.used, &action, counted);
        }
        let lapsed = rest - (self.balance() - before);
        self.lapsed_late += lapsed;
        self.write("release", 0);
        self.write("expiry", -i64::try_from(lapsed).unwrap());
        self.look();
    }

    pub(super) fn expire(&mut self, by: Day) {
        let due = |hold: &Hold| hold.is_open && hold.expires <= by;
        let due: Vec<u16> =
            self.holds.iter().filter(|(_, hold)| due(hold)).map(|(key, _)| *key).collect();
        for key in due {
            self.give_back(key);
        }
    }
}
