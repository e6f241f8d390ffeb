//! A naive reference for the credits of a team: one list of events, from which the two buckets are
//! computed on every read, one ledger, one operation at a time. It shares no code with the
//! implementation; prices, plans and calendar are repeated here.

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
use settings::Settings;

use crate::support::operations::{Answer, Charge, ClosedCycle, Operation, Size, TeamState, ledger};

#[derive(Clone, Debug, PartialEq)]
enum Request {
    Charge(Charge),
    Purchase(u16),
    Gift(u16),
    Hold(Size, u8),
    Release(u16),
}

/// An event that changes the two buckets. A hold keeps its place in the list when it is released.
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
    /// The number of pauses and of restarts of enrichment.
    pub pauses: (u32, u32),
    /// The number of refusals for missing credits.
    pub insufficient: u32,
    /// How often the balance fell below the threshold.
    pub low_alerts: u32,
    /// The number of due top-ups, and of those not yet handled.
    pub top_ups_due: u32,
    pub top_ups_waiting: u32,
    /// The number of declined top-ups.
    pub declined: u32,
    /// The number of accounts paused because they could not be paid.
    pub accounts_paused: u32,
    accounts: BTreeMap<u8, Account>,
    settings: Settings,
    /// The newest versions of billing messages: of a change and of a cancellation.
    newest_change: Option<u64>,
    newest_cancellation: Option<u64>,
    /// The newest version that named a start, and the newest start.
    newest_start_message: Option<u64>,
    newest_start: Option<Day>,
    /// The newest change before the current cycle.
    change_before_cycle: Option<u64>,
    used: BTreeMap<String, [u64; 3]>,
    /// The start of the counters, the free credits at that time, the credits received since by
    /// kind, and the credits that expired with late holds.
    counted_since: Option<Day>,
    free_at_start: u64,
    received: BTreeMap<&'static str, u64>,
    expired_late: u64,
    pub statements: Vec<ClosedCycle>,
    events: Vec<Event>,
    holds: BTreeMap<u16, Hold>,
    plan: Option<Plan>,
    answered: HashMap<u16, (Request, u64)>,
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
            insufficient: 0,
            low_alerts: 0,
            top_ups_due: 0,
            top_ups_waiting: 0,
            declined: 0,
            accounts_paused: 0,
            accounts: BTreeMap::new(),
            settings: Settings::by_default(),
            newest_change: None,
            newest_cancellation: None,
            newest_start_message: None,
            newest_start: None,
            change_before_cycle: None,
            used: BTreeMap::new(),
            counted_since: None,
            free_at_start: 0,
            received: BTreeMap::new(),
            expired_late: 0,
            statements: Vec::new(),
            events: Vec::new(),
            holds: BTreeMap::new(),
            plan: None,
            answered: HashMap::new(),
            ledger: Vec::new(),
        }
    }

    pub fn today(&self) -> String {
        written(self.today)
    }

    pub fn state(&mut self) -> TeamState {
        self.apply_due();
        let (free, purchased) = self.buckets();
        let open = self.holds.values().filter(|hold| hold.is_open);
        TeamState {
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

    /// Computes the free and the purchased credits from all events. An open hold counts with all
    /// its credits, a closed one with the captured credits, as if the rest had never been held.
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

    /// Applies an operation. Returns one answer per charge, else one answer.
    pub fn apply(&mut self, operation: &Operation) -> Vec<Answer> {
        match operation {
            Operation::Charge(charges) => {
                charges.iter().map(|charge| self.charge(charge)).collect()
            }
            Operation::Purchase { key, credits } => {
                vec![self.add(*key, *credits, Request::Purchase(*credits))]
            }
            Operation::Gift { key, credits } => {
                vec![self.add(*key, *credits, Request::Gift(*credits))]
            }
            Operation::Hold { key, size, days } => vec![self.hold(*key, *size, *days)],
            Operation::Release { key, hold } => vec![self.release(*key, *hold)],
            Operation::Subscribe { plan, seats, restart } => {
                self.exists = true;
                if let Err(refused) = self.open_team() {
                    return vec![refused];
                }
                self.subscribe(plan, u64::from(*seats), *restart);
                vec![Answer::Done(0)]
            }
            Operation::Cancel => vec![self.cancel()],
            Operation::Close => {
                if !self.exists {
                    return vec![Answer::NoTeam];
                }
                self.apply_due();
                self.closed = true;
                vec![Answer::Done(0)]
            }
            Operation::Restart => {
                if let Err(refused) = self.open_team() {
                    return vec![refused];
                }
                vec![self.restart()]
            }
            Operation::Monitor(id) => vec![self.monitor(*id)],
            Operation::StopMonitoring(id) => vec![self.stop_monitoring(*id)],
            Operation::BillingMessage { version, message } => {
                vec![self.apply_message(*version, message)]
            }
            Operation::PutSettings { low, top_up } => vec![self.put_settings(*low, *top_up)],
            Operation::Wait(days) => {
                for _ in 0..*days {
                    self.today = tomorrow(self.today);
                }
                Vec::new()
            }
            Operation::RunSchedule => {
                if !self.exists {
                    return vec![Answer::NoTeam];
                }
                self.apply_due();
                self.bill();
                vec![Answer::Done(0)]
            }
        }
    }

    /// Applies due changes to a team that exists and is not closed.
    fn open_team(&mut self) -> Result<(), Answer> {
        if !self.exists {
            return Err(Answer::NoTeam);
        }
        self.apply_due();
        if self.closed { Err(Answer::Closed) } else { Ok(()) }
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

/// The start of all runs: two days before the end of January, so that month ends matter.
pub const BEGIN: (i64, i64, i64) = (2027, 1, 29);
