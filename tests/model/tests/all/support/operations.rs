//! The operations of a team and their results.

use std::collections::BTreeMap;

/// An operation.
#[derive(Clone, Debug)]
pub enum Operation {
    Charge(Vec<Charge>),
    Purchase {
        key: u16,
        credits: u16,
    },
    Gift {
        key: u16,
        credits: u16,
    },
    Hold {
        key: u16,
        size: Size,
        days: u8,
    },
    Release {
        key: u16,
        hold: u16,
    },
    Subscribe {
        plan: &'static str,
        seats: u8,
        restart: bool,
    },
    Cancel,
    Close,
    /// Restarts enrichment.
    Restart,
    /// Starts the monitoring of an account.
    Monitor(u8),
    /// Stops the monitoring of an account.
    StopMonitoring(u8),
    /// A message of the billing system. It may be late or repeated.
    BillingMessage {
        version: u64,
        message: BillingMessage,
    },
    /// Sets the threshold of low credits and the automatic top-up.
    PutSettings {
        low: u16,
        top_up: Option<TopUp>,
    },
    /// Lets days pass.
    Wait(u8),
    /// Runs the schedule.
    RunSchedule,
}

/// The size of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Credits(u16),
    /// The cost of one `email_finder` for each lead, plus one `phone_finder` if `phones`.
    Leads {
        leads: u16,
        phones: bool,
    },
}

/// A billing message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BillingMessage {
    Changed { plan: &'static str, seats: u8, restart: bool },
    Cancelled,
}

/// An automatic top-up: below `below` credits, `credits` are bought, at most `limit` in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUp {
    pub below: u16,
    pub credits: u16,
    pub limit: u16,
}

/// A charge for an action of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub key: u16,
    pub action: &'static str,
    pub outcome: &'static str,
    pub quantity: u16,
    /// The key of the hold to capture from.
    pub hold: Option<u16>,
}

/// The result of an operation or of one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done(u64),
    Replayed(u64),
    Insufficient { balance: u64, required: u64 },
    KeyReused,
    Closed,
    NoTeam,
    NoHold,
    NoAccount,
    NoPlan,
    HoldClosed,
    Paused,
    NothingToRestart,
    Busy,
}

/// The visible state of a team.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamState {
    pub free: u64,
    pub purchased: u64,
    pub held: u64,
    pub plan: Option<String>,
    pub cycle_end: Option<String>,
    pub closed: bool,
    pub paused: bool,
    pub cycle: Cycle,
    /// The active and paused accounts: id, status, first day, and first day that is not paid for.
    pub accounts: Vec<(String, &'static str, String, String)>,
    /// The kinds and credits of the ledger, sorted. Expired credits are summed, because a late
    /// release splits them.
    pub ledger: Vec<(String, i64)>,
}

/// The figures of a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Attempts, charged units and credits by action.
    pub used: BTreeMap<String, [u64; 3]>,
    pub spent: u64,
    pub free_spent: u64,
    pub granted: u64,
    pub bought: u64,
    pub gifted: u64,
}

/// A finished cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedCycle {
    pub start: String,
    pub end: String,
    pub plan: Option<String>,
    pub cycle: Cycle,
    pub expired: u64,
}

/// Returns the ledger of a [`TeamState`].
pub fn ledger(entries: impl Iterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let (expiries, mut ledger): (Vec<_>, Vec<_>) = entries.partition(|(kind, _)| kind == "expiry");
    let lapsed: i64 = expiries.iter().map(|(_, credits)| credits).sum();
    if lapsed != 0 {
        ledger.push(("expiry".to_owned(), lapsed));
    }
    ledger.sort();
    ledger
}
