//! What a team's credits should be, told naively: two buckets, which are filled anew from all that
//! happened whenever they are asked for, one ledger, one operation at a time.
//! It shares no code with what it judges; prices, plans and calendars are written down again.

mod accounts;
mod calendar;
mod charges;
mod cycles;
mod holds;
mod settings;
mod subscription;

use std::collections::{BTreeMap, HashMap};

use accounts::Account;
pub use calendar::Day;
use calendar::{tomorrow, written};
use settings::Choice;

use crate::support::operations::{
    Came, Charge, Closed, Operation, Sight, Size, ledger,
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
