//! Charges, purchases, gifts and the restart of enrichment.


use super::{Asked, Event, Reference, count};
use crate::support::operations::{Came, Charge};

impl Reference {
    pub(super) fn charge(&mut self, charge: &Charge) -> Came {
        let quantity = u64::from(charge.quantity);
        let minutes = quantity / 60 + u64::from(quantity % 60 > 0);
        let cost = match (charge.action, charge.outcome) {
            ("email_finder", "deliverable") => 5 * quantity,
            ("phone_finder", "valid") => 20 * quantity,
            ("call", "answered") => 4 * minutes,
            ("sms", "sent") => 6 * quantity,
            ("signal_merger", "identified") => 100 * quantity,
            _ => 0,
        };
        let units = if charge.action == "call" { minutes } else { quantity };
        let counted = [units, if cost > 0 { units } else { 0 }, cost];
        let is_enrichment = !matches!(charge.action, "call" | "sms");
        if let Some(came) = self.repeated(charge.key, &Asked::Charge(charge.clone())) {
            return came;
        }
        let kind = if let Some(key) = charge.hold {
            let today = self.today;
            let Some(hold) = self.holds.get_mut(&key) else { return Came::NoHold };
            if !hold.is_open || hold.expires <= today {
                return Came::HoldClosed;
            }
            if hold.taken_paused && is_enrichment {
                return Came::Paused;
            }
            let balance = hold.credits - hold.captured;
            if cost > balance {
                return Came::Short { balance, required: cost };
            }
            hold.captured += cost;
            count(&mut hold.used, charge.action, counted);
            "capture"
        } else {
            if !self.exists {
                return Came::NoTeam;
            }
            if self.closed {
                return Came::Closed;
            }
            self.lapse();
            if self.paused && is_enrichment {
                return Came::Paused;
            }
            let balance = self.balance();
            if cost > balance {
                let pauses = is_enrichment && balance < cost / quantity;
                self.paused |= pauses;
                self.pauses.0 += u32::from(pauses);
                self.shortages += 1;
                return Came::Short { balance, required: cost };
            }
            self.events.push(Event::Spend(cost));
            count(&mut self.used, charge.action, counted);
            self.look();
            "charge"
        };
        self.write(kind, -i64::try_from(cost).unwrap());
        self.done.insert(charge.key, (Asked::Charge(charge.clone()), cost));
        Came::Done(cost)
    }

    pub(super) fn add(&mut self, key: u16, credits: u16, asked: Asked) -> Came {
        let name = if matches!(asked, Asked::Gift(_)) { "gift" } else { "purchase" };
        if let Some(came) = self.repeated(key, &asked) {
            return came;
        }
        if !self.exists {
            return Came::NoTeam;
        }
        if self.closed {
            return Came::Closed;
        }
        self.lapse();
        self.receive(name, credits.into());
        self.done.insert(key, (asked, u64::from(credits)));
        Came::Done(u64::from(credits))
    }

    pub(super) fn receive(&mut self, name: &'static str, credits: u64) {
        self.events.push(Event::Add(credits));
        *self.came_in.entry(name).or_default() += credits;
        self.write(name, i64::try_from(credits).unwrap());
        self.look();
    }

    pub(super) fn repeated(&self, key: u16, asked: &Asked) -> Option<Came> {
        let (first, credits) = self.done.get(&key)?;
        Some(if first == asked { Came::Replayed(*credits) } else { Came::KeyReused })
    }

    pub(super) fn restart(&mut self) -> Came {
        if !self.paused && !self.has_paused_accounts() {
            return Came::NothingToRestart;
        }
        if self.balance() == 0 {
            return Came::Short { balance: 0, required: 1 };
        }
        self.pauses.1 += u32::from(self.paused);
        self.paused = false;
        for hold in self.holds.values_mut() {
            hold.taken_paused = false;
        }
        self.resume_accounts();
        Came::Done(0)
    }
}
