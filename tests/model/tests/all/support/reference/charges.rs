//! Charges, purchases, gifts and the restart of enrichment.

use super::{Event, Reference, Request, count};
use crate::support::operations::{Answer, Charge};

/// A charge with its cost by an independent price list.
struct Priced {
    action: &'static str,
    quantity: u64,
    cost: u64,
    /// Units attempted, units charged, credits.
    counted: [u64; 3],
    is_enrichment: bool,
}

impl Priced {
    fn new(charge: &Charge) -> Self {
        let (action, quantity) = (charge.action, u64::from(charge.quantity));
        let minutes = quantity / 60 + u64::from(quantity % 60 > 0);
        let cost = match (action, charge.outcome) {
            ("email_finder", "deliverable") => 5 * quantity,
            ("phone_finder", "valid") => 20 * quantity,
            ("call", "answered") => 4 * minutes,
            ("sms", "sent") => 6 * quantity,
            ("signal_merger", "identified") => 100 * quantity,
            _ => 0,
        };
        let units = if action == "call" { minutes } else { quantity };
        let counted = [units, if cost > 0 { units } else { 0 }, cost];
        let is_enrichment = !matches!(action, "call" | "sms");
        Self { action, quantity, cost, counted, is_enrichment }
    }
}

impl Reference {
    pub(super) fn charge(&mut self, charge: &Charge) -> Answer {
        if let Some(answer) = self.repeated(charge.key, &Request::Charge(charge.clone())) {
            return answer;
        }
        let priced = Priced::new(charge);
        let (kind, paid) = match charge.hold {
            Some(hold) => ("capture", self.capture(hold, &priced)),
            None => ("charge", self.charge_pool(&priced)),
        };
        if let Err(refused) = paid {
            return refused;
        }
        self.write(kind, -i64::try_from(priced.cost).unwrap());
        self.answered.insert(charge.key, (Request::Charge(charge.clone()), priced.cost));
        Answer::Done(priced.cost)
    }

    fn capture(&mut self, hold: u16, priced: &Priced) -> Result<(), Answer> {
        let today = self.today;
        let hold = self.holds.get_mut(&hold).ok_or(Answer::NoHold)?;
        if !hold.is_open || hold.expires <= today {
            return Err(Answer::HoldClosed);
        }
        if hold.taken_paused && priced.is_enrichment {
            return Err(Answer::Paused);
        }
        let balance = hold.credits - hold.captured;
        if priced.cost > balance {
            return Err(Answer::Insufficient { balance, required: priced.cost });
        }
        hold.captured += priced.cost;
        count(&mut hold.used, priced.action, priced.counted);
        Ok(())
    }

    fn charge_pool(&mut self, priced: &Priced) -> Result<(), Answer> {
        if !self.exists {
            return Err(Answer::NoTeam);
        }
        if self.closed {
            return Err(Answer::Closed);
        }
        self.apply_due();
        if self.paused && priced.is_enrichment {
            return Err(Answer::Paused);
        }
        let balance = self.balance();
        if priced.cost > balance {
            let pauses = priced.is_enrichment && balance < priced.cost / priced.quantity;
            self.paused |= pauses;
            self.pauses.0 += u32::from(pauses);
            self.insufficient += 1;
            return Err(Answer::Insufficient { balance, required: priced.cost });
        }
        self.events.push(Event::Spend(priced.cost));
        count(&mut self.used, priced.action, priced.counted);
        self.check_thresholds();
        Ok(())
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
