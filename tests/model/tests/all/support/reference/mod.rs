//! What a team's credits should be, told naively: two buckets, which are filled anew from all that
//! happened whenever they are asked for, one ledger, one operation at a time.
//! It shares no code with what it judges; prices, plans and calendars are written down again.

mod accounts;
mod calendar;
mod settings;

use std::collections::{BTreeMap, HashMap};

use accounts::Account;
pub use calendar::Day;
use calendar::{months_after, tomorrow, written};
use settings::Choice;

use crate::support::operations::{
    Came, Charge, Closed, Cycle, Operation, Sight, Size, Told, ledger,
};

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Charge(Charge),
    Purchase(u16),
    Gift(u16),
    Hold(Size, u8),
    Release(u16),
}

/// What moved the two buckets. A hold stands where it was taken, whatever became of it later.
#[derive(Clone, Copy, Debug)]
enum Event {
    Reset(u64),
    Grant(u64),
    Add(u64),
    Spend(u64),
    Hold(u16),
}

#[derive(Clone, Debug)]
struct Hold {
    credits: u64,
    captured: u64,
    is_open: bool,
    expires: Day,
    used: BTreeMap<String, [u64; 3]>,
    taken_paused: bool,
}

#[derive(Clone, Debug)]
struct Plan {
    name: &'static str,
    seats: u64,
    most_seats: u64,
    anchor: Day,
    cycle_start: Day,
    cycle_end: Day,
    cancelled: bool,
}

/// One team.
#[derive(Clone, Debug)]
pub struct Reference {
    today: Day,
    exists: bool,
    closed: bool,
    paused: bool,
    /// How often enrichment was paused, and restarted.
    pub pauses: (u32, u32),
    /// How often the pool did not cover something.
    pub shortages: u32,
    /// How often credits fell below the threshold.
    pub lows: u32,
    /// How often a top-up was due, and how many of those nobody has seen to yet.
    pub due: u32,
    pub waiting: u32,
    /// How many top-ups were declined.
    pub declined: u32,
    /// How many accounts were paused because they could not be paid for.
    pub accounts_paused: u32,
    accounts: BTreeMap<u8, Account>,
    choice: Choice,
    /// The newest messages of billing: of a subscription, and of a cancellation.
    newest_change: Option<u64>,
    newest_cancellation: Option<u64>,
    /// The newest message that named a start, and the newest start.
    newest_start_message: Option<u64>,
    newest_start: Option<Day>,
    /// The newest change before the current cycle.
    change_before_cycle: Option<u64>,
    used: BTreeMap<String, [u64; 3]>,
    /// Since when it is counted what came in, what was kept then, and what lapsed of late holds.
    since: Option<Day>,
    kept: u64,
    came_in: BTreeMap<&'static str, u64>,
    lapsed_late: u64,
    pub statements: Vec<Closed>,
    events: Vec<Event>,
    holds: BTreeMap<u16, Hold>,
    plan: Option<Plan>,
    done: HashMap<u16, (Asked, u64)>,
    ledger: Vec<(String, i64)>,
}

impl Reference {
    pub fn new(today: Day) -> Self {
        Self {
            today,
            exists: false,
            closed: false,
            paused: false,
            pauses: (0, 0),
            shortages: 0,
            lows: 0,
            due: 0,
            waiting: 0,
            declined: 0,
            accounts_paused: 0,
            accounts: BTreeMap::new(),
            choice: Choice::of_nobody(),
            newest_change: None,
            newest_cancellation: None,
            newest_start_message: None,
            newest_start: None,
            change_before_cycle: None,
            used: BTreeMap::new(),
            since: None,
            kept: 0,
            came_in: BTreeMap::new(),
            lapsed_late: 0,
            statements: Vec::new(),
            events: Vec::new(),
            holds: BTreeMap::new(),
            plan: None,
            done: HashMap::new(),
            ledger: Vec::new(),
        }
    }

    pub fn today(&self) -> String {
        written(self.today)
    }

    pub fn see(&mut self) -> Sight {
        self.lapse();
        let (free, purchased) = self.buckets();
        let open = self.holds.values().filter(|hold| hold.is_open);
        Sight {
            free,
            purchased,
            held: open.map(|hold| hold.credits - hold.captured).sum(),
            plan: self.plan.as_ref().map(|plan| plan.name.to_owned()),
            cycle_end: self.plan.as_ref().map(|plan| written(plan.cycle_end)),
            closed: self.closed,
            paused: self.paused,
            cycle: self.cycle(),
            accounts: self.accounts(),
            ledger: ledger(self.ledger.iter().cloned()),
        }
    }

    fn cycle(&self) -> Cycle {
        let (free, _) = self.buckets();
        let came_in = |kind: &str| self.came_in.get(kind).copied().unwrap_or(0);
        let spent = self.used.values().map(|[_, _, credits]| credits).sum();
        let granted = came_in("grant");
        Cycle {
            used: self.used.clone(),
            spent,
            free_spent: spent.min((self.kept + granted).saturating_sub(free)),
            granted,
            bought: came_in("purchase"),
            gifted: came_in("gift"),
        }
    }

    /// Ends what is counted, as a statement, and begins anew.
    fn close_cycle(&mut self, next: Day, lapsed: u64) {
        let (cycle, plan) = (self.cycle(), self.plan.as_ref());
        let expired = lapsed + self.lapsed_late;
        let nothing = Cycle { used: BTreeMap::new(), ..Cycle::default() };
        if plan.is_some() || cycle != nothing || expired > 0 {
            let end = plan.map_or(next, |plan| plan.cycle_end.min(next));
            let start = plan.map(|plan| plan.cycle_start).or(self.since).unwrap_or(end);
            self.statements.push(Closed {
                start: written(start),
                end: written(end),
                plan: plan.map(|plan| plan.name.to_owned()),
                cycle,
                expired,
            });
        }
        self.used.clear();
        self.came_in.clear();
        self.lapsed_late = 0;
        self.since = Some(next);
        self.kept = self.buckets().0 - lapsed;
    }

    /// The two buckets: all that happened, gone through once more. A hold has taken what it still
    /// keeps, or what was captured, as if what was given back had never been taken.
    fn buckets(&self) -> (u64, u64) {
        let (mut free, mut purchased) = (0, 0);
        let spend = |free: &mut u64, purchased: &mut u64, credits: u64| {
            let from_free = credits.min(*free);
            *free -= from_free;
            *purchased -= credits - from_free;
        };
        for event in &self.events {
            match event {
                Event::Reset(granted) => free = *granted,
                Event::Grant(granted) => free += granted,
                Event::Add(credits) => purchased += credits,
                Event::Spend(credits) => spend(&mut free, &mut purchased, *credits),
                Event::Hold(key) => {
                    let hold = &self.holds[key];
                    let taken = if hold.is_open { hold.credits } else { hold.captured };
                    spend(&mut free, &mut purchased, taken);
                }
            }
        }
        (free, purchased)
    }

    fn balance(&self) -> u64 {
        let (free, purchased) = self.buckets();
        free + purchased
    }

    fn cancel(&mut self) -> Came {
        if !self.exists {
            return Came::NoTeam;
        }
        self.lapse();
        if self.closed {
            return Came::Closed;
        }
        let Some(plan) = &mut self.plan else { return Came::NoPlan };
        plan.cancelled = true;
        Came::Done(0)
    }

    fn tell(&mut self, version: u64, told: &Told) -> Came {
        self.exists = true;
        self.lapse();
        let version = Some(version);
        let is_late = version <= self.newest_change;
        if self.closed {
            let is_older =
                is_late || *told == Told::Cancelled && version <= self.newest_cancellation;
            return if is_older { Came::Done(0) } else { Came::Closed };
        }
        match told {
            Told::Cancelled if version <= self.newest_cancellation => {}
            Told::Cancelled => {
                if let Some(plan) = self.plan.as_mut().filter(|_| !is_late) {
                    plan.cancelled = true;
                }
                self.newest_cancellation = version;
            }
            Told::Changed { plan, seats, restart } => {
                let seats = u64::from(*seats);
                let names_start = *restart && version > self.newest_start_message;
                if names_start {
                    self.newest_start_message = version;
                }
                let is_cancelled = version <= self.newest_cancellation;
                if self.is_current(plan, *restart) {
                    if !is_late {
                        self.adjust(seats);
                        self.plan.as_mut().unwrap().cancelled = is_cancelled;
                    } else if version > self.change_before_cycle && version < self.newest_change {
                        self.grant_seats(seats);
                    }
                } else {
                    // It is counted since there was a plan.
                    let has_ended = self.plan.is_none() && self.since.is_some();
                    let is_news = !is_late || names_start && self.newest_start < Some(self.today);
                    if is_news && !(is_cancelled && has_ended) {
                        if !is_late {
                            self.change_before_cycle = self.newest_change;
                        }
                        self.start(plan, seats);
                        self.plan.as_mut().unwrap().cancelled = is_cancelled;
                    }
                }
                self.newest_change = self.newest_change.max(version);
            }
        }
        Came::Done(0)
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
            Operation::Hold { key, size, days } => vec![self.hold(*key, *size, *days)],
            Operation::Release { key, hold } => vec![self.release(*key, *hold)],
            Operation::Subscribe { plan, seats, restart } => {
                self.exists = true;
                self.lapse();
                if self.closed {
                    return vec![Came::Closed];
                }
                self.subscribe(plan, u64::from(*seats), *restart);
                vec![Came::Done(0)]
            }
            Operation::Cancel => vec![self.cancel()],
            Operation::Close => {
                if !self.exists {
                    return vec![Came::NoTeam];
                }
                self.lapse();
                self.closed = true;
                vec![Came::Done(0)]
            }
            Operation::Restart => {
                if !self.exists {
                    return vec![Came::NoTeam];
                }
                self.lapse();
                if self.closed {
                    return vec![Came::Closed];
                }
                vec![self.restart()]
            }
            Operation::Monitor(id) => vec![self.monitor(*id)],
            Operation::StopMonitoring(id) => vec![self.stop_monitoring(*id)],
            Operation::Tell { version, told } => vec![self.tell(*version, told)],
            Operation::Choose { low, top_up } => vec![self.choose(*low, *top_up)],
            Operation::Wait(days) => {
                for _ in 0..*days {
                    self.today = tomorrow(self.today);
                }
                Vec::new()
            }
            Operation::Refill => {
                if !self.exists {
                    return vec![Came::NoTeam];
                }
                self.lapse();
                self.bill();
                vec![Came::Done(0)]
            }
        }
    }

    fn charge(&mut self, charge: &Charge) -> Came {
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

    fn add(&mut self, key: u16, credits: u16, asked: Asked) -> Came {
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

    fn receive(&mut self, name: &'static str, credits: u64) {
        self.events.push(Event::Add(credits));
        *self.came_in.entry(name).or_default() += credits;
        self.write(name, i64::try_from(credits).unwrap());
        self.look();
    }

    fn hold(&mut self, key: u16, size: Size, days: u8) -> Came {
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

    fn release(&mut self, key: u16, hold: u16) -> Came {
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
    fn give_back(&mut self, key: u16) {
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

    fn repeated(&self, key: u16, asked: &Asked) -> Option<Came> {
        let (first, credits) = self.done.get(&key)?;
        Some(if first == asked { Came::Replayed(*credits) } else { Came::KeyReused })
    }

    fn restart(&mut self) -> Came {
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

    /// The very same start is the very same subscription.
    fn is_current(&self, name: &str, restart: bool) -> bool {
        let today = self.today;
        self.plan
            .as_ref()
            .is_some_and(|plan| plan.name == name && (!restart || plan.anchor == today))
    }

    fn subscribe(&mut self, name: &'static str, seats: u64, restart: bool) {
        if self.is_current(name, restart) {
            self.adjust(seats);
        } else {
            self.change_before_cycle = self.newest_change;
            self.start(name, seats);
        }
    }

    fn adjust(&mut self, seats: u64) {
        self.grant_seats(seats);
        let plan = self.plan.as_mut().unwrap();
        plan.seats = seats;
        plan.cancelled = false;
    }

    fn grant_seats(&mut self, seats: u64) {
        let plan = self.plan.as_mut().unwrap();
        let more = seats.saturating_sub(plan.most_seats);
        plan.most_seats = plan.most_seats.max(seats);
        let granted = if plan.name == "multichannel_expert" { 400 * more } else { 0 };
        if granted > 0 {
            self.events.push(Event::Grant(granted));
            *self.came_in.entry("grant").or_default() += granted;
            self.look();
        }
        self.write("grant", i64::try_from(granted).unwrap());
    }

    fn start(&mut self, name: &'static str, seats: u64) {
        let today = self.today;
        let lapsed = self.buckets().0;
        self.close_cycle(today, lapsed);
        self.newest_start = Some(today);
        self.plan = Some(Plan {
            name,
            seats,
            most_seats: seats,
            anchor: today,
            cycle_start: today,
            cycle_end: months_after(today, 1),
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

    fn is_over(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.cycle_end <= self.today && !self.closed)
    }

    /// Whatever is due, in its order: the end of holds whose time was over before the cycle that runs
    /// now, the turn, and the end of all other holds.
    fn lapse(&mut self) {
        if self.is_over() {
            self.turn();
        }
        self.expire(self.today);
    }

    fn expire(&mut self, by: Day) {
        let due = |hold: &Hold| hold.is_open && hold.expires <= by;
        let due: Vec<u16> =
            self.holds.iter().filter(|(_, hold)| due(hold)).map(|(key, _)| *key).collect();
        for key in due {
            self.give_back(key);
        }
    }

    fn turn(&mut self) {
        let plan = self.plan.clone().unwrap();
        if plan.cancelled {
            self.expire(plan.cycle_end);
            let lapsed = self.buckets().0;
            self.close_cycle(plan.cycle_end, lapsed);
            self.plan = None;
            self.reset(0);
            return;
        }
        let mut months = 1;
        while months_after(plan.anchor, months) <= self.today {
            months += 1;
        }
        let cycle_start = months_after(plan.anchor, months - 1);
        self.change_before_cycle = self.newest_change;
        let is_monthly = matches!(plan.name, "multichannel_expert" | "email_pro");
        self.expire(if is_monthly { plan.cycle_end } else { cycle_start });
        let lapsed = if is_monthly { self.buckets().0 } else { 0 };
        self.close_cycle(cycle_start, lapsed);
        if is_monthly {
            let granted = if plan.name == "multichannel_expert" { 400 * plan.seats } else { 0 };
            self.reset(granted);
        }
        let cycle_end = months_after(plan.anchor, months);
        self.plan = Some(Plan { cycle_start, cycle_end, most_seats: plan.seats, ..plan });
    }

    fn reset(&mut self, granted: u64) {
        let (free, _) = self.buckets();
        self.write("expiry", -i64::try_from(free).unwrap());
        self.events.push(Event::Reset(granted));
        *self.came_in.entry("grant").or_default() += granted;
        self.write("grant", i64::try_from(granted).unwrap());
        self.look();
    }

    fn write(&mut self, kind: &str, credits: i64) {
        if credits != 0 || !matches!(kind, "expiry" | "grant") {
            self.ledger.push((kind.to_owned(), credits));
        }
    }
}

fn count(used: &mut BTreeMap<String, [u64; 3]>, action: &str, more: [u64; 3]) {
    let row = used.entry(action.to_owned()).or_default();
    for (sum, more) in row.iter_mut().zip(more) {
        *sum += more;
    }
}

/// Where all lives begin: two days before the end of a January, so that month ends matter.
pub const BEGIN: (i64, i64, i64) = (2027, 1, 29);
