//! What a team's credits should be, told naively: two buckets, one ledger, one operation at a time.
//! It shares no code with what it judges; prices, plans and calendars are written down again.

use std::collections::HashMap;

use crate::operation::{Came, Charge, Operation, Sight};

/// A calendar day as (year, month, day).
type Day = (i64, i64, i64);

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Charge(Charge),
    Purchase(u16),
    Gift(u16),
}

#[derive(Clone, Debug)]
struct Plan {
    name: &'static str,
    seats: u64,
    most_seats: u64,
    anchor: Day,
    cycle_end: Day,
    cancelled: bool,
}

/// One team.
#[derive(Clone, Debug)]
pub struct Reference {
    today: Day,
    exists: bool,
    closed: bool,
    free: u64,
    purchased: u64,
    plan: Option<Plan>,
    done: HashMap<u8, (Asked, u64)>,
    ledger: Vec<(String, i64)>,
}

impl Reference {
    pub fn new(today: Day) -> Self {
        Self {
            today,
            exists: false,
            closed: false,
            free: 0,
            purchased: 0,
            plan: None,
            done: HashMap::new(),
            ledger: Vec::new(),
        }
    }

    pub fn today(&self) -> String {
        let (year, month, day) = self.today;
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub fn see(&mut self) -> Sight {
        self.lapse();
        let mut ledger = self.ledger.clone();
        ledger.sort();
        Sight {
            free: self.free,
            purchased: self.purchased,
            plan: self.plan.as_ref().map(|plan| plan.name.to_owned()),
            cycle_end: self.plan.as_ref().map(|plan| {
                format!("{:04}-{:02}-{:02}", plan.cycle_end.0, plan.cycle_end.1, plan.cycle_end.2)
            }),
            closed: self.closed,
            ledger,
        }
    }

    /// Does one operation; what came of its charges, its purchase or its gift.
    pub fn apply(&mut self, operation: &Operation) -> Vec<Came> {
        match operation {
            Operation::Charge(charges) => {
                charges.iter().map(|charge| self.charge(charge)).collect()
            }
            Operation::Purchase { key, credits } => {
                vec![self.add(*key, *credits, Asked::Purchase(*credits))]
            }
            Operation::Gift { key, credits } => {
                vec![self.add(*key, *credits, Asked::Gift(*credits))]
            }
            Operation::Subscribe { plan, seats, restart } => {
                self.lapse();
                if !self.closed {
                    self.exists = true;
                    self.subscribe(plan, u64::from(*seats), *restart);
                }
                Vec::new()
            }
            Operation::Cancel => {
                self.lapse();
                if let (false, Some(plan)) = (self.closed, &mut self.plan) {
                    plan.cancelled = true;
                }
                Vec::new()
            }
            Operation::Close => {
                self.lapse();
                self.closed = self.exists;
                Vec::new()
            }
            Operation::Wait(days) => {
                for _ in 0..*days {
                    self.today = tomorrow(self.today);
                }
                Vec::new()
            }
            Operation::Refill => {
                self.lapse();
                Vec::new()
            }
        }
    }

    fn charge(&mut self, charge: &Charge) -> Came {
        let quantity = u64::from(charge.quantity);
        let cost = match (charge.action, charge.outcome) {
            ("email_finder", "deliverable") => 5 * quantity,
            ("phone_finder", "valid") => 20 * quantity,
            ("call", "answered") => 4 * (quantity / 60 + u64::from(quantity % 60 > 0)),
            ("sms", "sent") => 6 * quantity,
            ("signal_merger", "identified") => 100 * quantity,
            _ => 0,
        };
        if let Some(came) = self.repeated(charge.key, &Asked::Charge(charge.clone())) {
            return came;
        }
        if !self.exists {
            return Came::NoTeam;
        }
        if self.closed {
            return Came::Closed;
        }
        self.lapse();
        let balance = self.free + self.purchased;
        if cost > balance {
            return Came::Short { balance, required: cost };
        }
        let from_free = cost.min(self.free);
        self.free -= from_free;
        self.purchased -= cost - from_free;
        self.write("charge", -i64::try_from(cost).unwrap());
        self.done.insert(charge.key, (Asked::Charge(charge.clone()), cost));
        Came::Done(cost)
    }

    fn add(&mut self, key: u8, credits: u16, asked: Asked) -> Came {
        let name = if matches!(asked, Asked::Gift(_)) { "gift" } else { "purchase" };
        // A purchase looks at the team before it looks at the key, a gift after.
        if name == "purchase" {
            if !self.exists || self.closed {
                return if self.exists { Came::Closed } else { Came::NoTeam };
            }
            self.lapse();
        }
        if let Some(came) = self.repeated(key, &asked) {
            return came;
        }
        if !self.exists {
            return Came::NoTeam;
        }
        if self.closed {
            return Came::Closed;
        }
        self.purchased += u64::from(credits);
        self.write(name, i64::from(credits));
        self.done.insert(key, (asked, u64::from(credits)));
        Came::Done(u64::from(credits))
    }

    fn repeated(&self, key: u8, asked: &Asked) -> Option<Came> {
        let (first, credits) = self.done.get(&key)?;
        Some(if first == asked { Came::Replayed(*credits) } else { Came::KeyReused })
    }

    fn subscribe(&mut self, name: &'static str, seats: u64, restart: bool) {
        // The very same start is the very same subscription.
        let today = self.today;
        let same = |plan: &&mut Plan| plan.name == name && (!restart || plan.anchor == today);
        if let Some(plan) = self.plan.as_mut().filter(same) {
            let more = seats.saturating_sub(plan.most_seats);
            plan.seats = seats;
            plan.most_seats = plan.most_seats.max(seats);
            plan.cancelled = false;
            let granted = if name == "multichannel_expert" { 400 * more } else { 0 };
            self.free += granted;
            self.write("grant", i64::try_from(granted).unwrap());
            return;
        }
        let cycle_end = months_after(self.today, 1);
        self.plan = Some(Plan {
            name,
            seats,
            most_seats: seats,
            anchor: self.today,
            cycle_end,
            cancelled: false,
        });
        let granted = match name {
            "free_trial" => 200,
            "multichannel_expert" => 400 * seats,
            "enterprise" => 400,
            // The accounts here are younger than the cut-off of email_pro.
            _ => 0,
        };
        self.reset(granted);
    }

    fn lapse(&mut self) {
        let today = self.today;
        let Some(plan) = self.plan.as_mut().filter(|plan| plan.cycle_end <= today && !self.closed)
        else {
            return;
        };
        if plan.cancelled {
            self.plan = None;
            self.reset(0);
            return;
        }
        let mut months = 1;
        while months_after(plan.anchor, months) <= today {
            months += 1;
        }
        plan.cycle_end = months_after(plan.anchor, months);
        plan.most_seats = plan.seats;
        if plan.name == "multichannel_expert" {
            let granted = 400 * plan.seats;
            self.reset(granted);
        } else if plan.name == "email_pro" {
            self.reset(0);
        }
    }

    fn reset(&mut self, granted: u64) {
        self.write("expiry", -i64::try_from(self.free).unwrap());
        self.free = granted;
        self.write("grant", i64::try_from(granted).unwrap());
    }

    fn write(&mut self, kind: &str, credits: i64) {
        if credits != 0 || kind == "charge" {
            self.ledger.push((kind.to_owned(), credits));
        }
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn tomorrow((year, month, day): Day) -> Day {
    if day < days_in(year, month) {
        (year, month, day + 1)
    } else if month < 12 {
        (year, month + 1, 1)
    } else {
        (year + 1, 1, 1)
    }
}

fn months_after((mut year, mut month, day): Day, months: u32) -> Day {
    for _ in 0..months {
        (year, month) = if month < 12 { (year, month + 1) } else { (year + 1, 1) };
    }
    (year, month, day.min(days_in(year, month)))
}
