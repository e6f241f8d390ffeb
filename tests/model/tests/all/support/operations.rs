//! Random operations on one team, and what can come of them. Keys are few, so that they collide.

use std::collections::BTreeMap;

/// One operation.
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
    /// Enrichment is restarted.
    Restart,
    /// An account is monitored from now on.
    Monitor(u8),
    /// An account is monitored no longer.
    StopMonitoring(u8),
    /// A message of the billing system, which may come late or again.
    Tell {
        version: u64,
        told: Told,
    },
    /// An admin chooses when to be told of low credits, and automatic top-ups.
    Choose {
        low: u16,
        top_up: Option<TopUp>,
    },
    /// Time passes, in days.
    Wait(u8),
    /// The schedule runs.
    Refill,
}

/// The size of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Credits(u16),
    /// As many credits as an `email_finder` for each lead costs, and a `phone_finder` too.
    Leads {
        leads: u16,
        phones: bool,
    },
}

/// What the billing system tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Changed { plan: &'static str, seats: u8, restart: bool },
    Cancelled,
}

/// An automatic top-up: below so many credits, so many more, and at most so many in a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUp {
    pub below: u16,
    pub credits: u16,
    pub limit: u16,
}

/// One charge, of what the catalogue has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub key: u16,
    pub action: &'static str,
    pub outcome: &'static str,
    pub quantity: u16,
    /// The key of the hold that it is captured from.
    pub hold: Option<u16>,
}

/// What came of a charge, a purchase or a gift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    Done(u64),
    Replayed(u64),
    Short { balance: u64, required: u64 },
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

/// What can be seen of a team after an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    pub free: u64,
    pub purchased: u64,
    pub held: u64,
    pub plan: Option<String>,
    pub cycle_end: Option<String>,
    pub closed: bool,
    pub paused: bool,
    pub cycle: Cycle,
    /// The accounts that are monitored or paused: how they stand, since when, and the first day that
    /// is not paid for.
    pub accounts: Vec<(String, &'static str, String, String)>,
    /// The ledger's kinds and credits, sorted; what lapsed is summed up, because a hold that is given
    /// back late splits it.
    pub ledger: Vec<(String, i64)>,
}

/// What happened in a cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// What was tried, what of that was charged, and what that cost, by action.
    pub used: BTreeMap<String, [u64; 3]>,
    pub spent: u64,
    pub free_spent: u64,
    pub granted: u64,
    pub bought: u64,
    pub gifted: u64,
}

/// A cycle that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub start: String,
    pub end: String,
    pub plan: Option<String>,
    pub cycle: Cycle,
    pub expired: u64,
}

/// A ledger as [`Sight`] has it.
pub fn ledger(entries: impl Iterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let (expiries, mut ledger): (Vec<_>, Vec<_>) = entries.partition(|(kind, _)| kind == "expiry");
    let lapsed: i64 = expiries.iter().map(|(_, credits)| credits).sum();
    if lapsed != 0 {
        ledger.push(("expiry".to_owned(), lapsed));
    }
    ledger.sort();
    ledger
}
