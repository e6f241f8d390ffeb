//! Charges, purchases, gifts and the restart of enrichment.

use super::{Event, Reference, Request, count};
use crate::support::operations::{Answer, Charge};

impl Reference {
    pub(super) fn charge(&mut self, charge: &Charge) -> Answer {
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
        if let Some(answer) = self.repeated(charge.key, &Request::Charge(charge.clone())) {
            return answer;
        }
        let kind = if let Some(key) = charge.hold {
            let today = self.today;
            let Some(hold) = self.holds.get_mut(&key) else { return Answer::NoHold };
            if !hold.is_open || hold.expires <= today {
                return Answer::HoldClosed;
            }
            if hold.taken_paused && is_enrichment {
                return Answer::Paused;
            }
            let balance = hold.credits - hold.captured;
            if cost > balance {
                return Answer::Insufficient { balance, required: cost };
            }
            hold.captured += cost;
            count(&mut hold.used, charge.action, counted);
            "capture"
        } else {
            if !self.exists {
                return Answer::NoTeam;
            }
            if self.closed {
                return Answer::Closed;
            }
            self.apply_due();
            if self.paused && is_enrichment {
                return Answer::Paused;
            }
            let balance = self.balance();
            if cost > balance {
                let pauses = is_enrichment && balance < cost / quantity;
                self.paused |= pauses;
                self.pauses.0 += u32::from(pauses);
                self.insufficient += 1;
                return Answer::Insufficient { balance, required: cost };
            }
            self.events.push(Event::Spend(cost));
            count(&mut self.used, charge.action, counted);
            self.check_thresholds();
            "charge"
        };
        self.write(kind, -i64::try_from(cost).unwrap());
        self.answered.insert(charge.key, (Request::Charge(charge.clone()), cost));
        Answer::Done(cost)
    }

    pub(super) fn add(&mut self, key: u16, credits: u16, request: Request) -> Answer {
        let name = if matches!(request, Request::Gift(_)) { "gift" } else { "purchase" };
        if let Some(answer) = self.repeated(key, &request) {
            return answer;
        }
        if !self.exists {
            return Answer::NoTeam;
        }
        if self.closed {
            return Answer::Closed;
        }
        self.apply_due();
        self.receive(name, credits.into());
        self.answered.insert(key, (request, u64::from(credits)));
        Answer::Done(u64::from(credits))
    }

    pub(super) fn receive(&mut self, name: &'static str, credits: u64) {
        self.events.push(Event::Add(credits));
        *self.received.entry(name).or_default() += credits;
        self.write(name, i64::try_from(credits).unwrap());
        self.check_thresholds();
    }

    pub(super) fn repeated(&self, key: u16, request: &Request) -> Option<Answer> {
        let (first, credits) = self.answered.get(&key)?;
        Some(if first == request { Answer::Replayed(*credits) } else { Answer::KeyReused })
    }

    pub(super) fn restart(&mut self) -> Answer {
        if !self.paused && !self.has_paused_accounts() {
            return Answer::NothingToRestart;
        }
        if self.balance() == 0 {
            return Answer::Insufficient { balance: 0, required: 1 };
        }
        self.pauses.1 += u32::from(self.paused);
        self.paused = false;
        for hold in self.holds.values_mut() {
            hold.taken_paused = false;
        }
        self.resume_accounts();
        Answer::Done(0)
    }
}
