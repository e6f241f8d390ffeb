//! The summary of a job.

use std::fmt;

use crate::charge::Charge;
use crate::failure::Failure;
use crate::providers::Action;
use crate::service::{Hold, Work};

/// The sums of a job over all its runs.
#[derive(Debug)]
pub struct Summary {
    leads: usize,
    rows: Vec<Row>,
    to_hold: u64,
    to_pool: u64,
    hold: Hold,
    balance: u64,
}

#[derive(Debug)]
struct Row {
    action: Action,
    attempts: usize,
    hits: usize,
    credits: u64,
}

impl Summary {
    /// Returns the summary of the charges of a job.
    ///
    /// # Errors
    /// [`Failure::Unsettled`] if the sum of the captures differs from that of the hold.
    pub fn new(work: &Work, charges: &[Charge], hold: Hold, balance: u64) -> Result<Self, Failure> {
        let sum = |from_hold: bool| {
            let charges = charges.iter().filter(|charge| charge.hold.is_some() == from_hold);
            charges.map(|charge| charge.credits).sum()
        };
        let (to_hold, to_pool) = (sum(true), sum(false));
        if to_hold != hold.captured {
            return Err(Failure::Unsettled { charged: to_hold, captured: hold.captured });
        }
        let rows = work.actions.iter().map(|action| Row::new(*action, charges)).collect();
        Ok(Self { leads: work.leads, rows, to_hold, to_pool, hold, balance })
    }
}

impl Row {
    fn new(action: Action, charges: &[Charge]) -> Self {
        let costs = charges.iter().filter(|charge| charge.action == action);
        let costs: Vec<u64> = costs.map(|charge| charge.credits).collect();
        let hits = costs.iter().filter(|credits| **credits > 0).count();
        Self { action, attempts: costs.len(), hits, credits: costs.iter().sum() }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leads, rows, to_hold, to_pool, hold, balance } = self;
        let leads = format!("{leads} leads");
        writeln!(f, "\n{leads:<20} attempts     hits  credits")?;
        for Row { action, attempts, hits, credits } in rows {
            writeln!(f, "{action:<20} {attempts:>8} {hits:>8} {credits:>8}")?;
        }
        let charged = to_hold.saturating_add(*to_pool);
        let left = hold.credits.saturating_sub(hold.captured);
        writeln!(f, "charged              {charged:>26}")?;
        if *to_pool > 0 {
            writeln!(f, "of that to the pool  {to_pool:>26}")?;
        }
        writeln!(f, "{:<20} {left:>26}", hold.status)?;
        write!(f, "balance              {balance:>26}")
    }
}
