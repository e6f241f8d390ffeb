//! Statements: what a team had, did and bought in a cycle, once that is over.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::pool::totals::CycleTotals;
use crate::domain::pool::usage::Usage;
use crate::domain::purchase::Amount;

/// What happened to a team's credits in a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// All that was charged. What is captured from a hold counts in the cycle in which that ends.
    pub spent: Credits,
    /// What free credits of the cycle paid for.
    pub free_spent: Credits,
    /// What purchased and gifted credits paid for, or a hold of an earlier cycle.
    pub purchased_spent: Credits,
    /// The free credits that were granted.
    pub granted: Credits,
    /// The credits that were bought.
    pub purchased: Credits,
    /// The credits that support staff gave, at no price.
    pub gifted: Credits,
    /// The free credits that lapsed; `None` while the cycle runs.
    pub expired: Option<Credits>,
}

/// A cycle that is over, or the time between two subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The team.
    pub team: TeamId,
    /// Which of the team's cycles it is.
    pub number: u64,
    /// The first day.
    pub start: Date,
    /// The day after the last.
    pub end: Date,
    /// The plan, unless there was none.
    pub plan: Option<String>,
    /// What was done, by action.
    pub used: Usage,
    /// What happened to the credits.
    pub credits: Spending,
}

impl Spending {
    /// What has happened so far in the current cycle of a pool.
    #[must_use]
    pub fn so_far(pool: &Pool) -> Self {
        let CycleTotals { kept, granted, bought, gifted, .. } = pool.tally;
        let spent = pool.used.spent();
        let free =
            kept.checked_add(granted).unwrap_or(Credits::MAX).excess_over(pool.balance.free());
        let free_spent = spent.min(free);
        Self {
            spent,
            free_spent,
            purchased_spent: spent.excess_over(free_spent),
            granted,
            purchased: bought,
            gifted,
            expired: None,
        }
    }

    /// This and what happened later as one.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let sum = |a: Credits, b: Credits| a.checked_add(b).unwrap_or(Credits::MAX);
        Self {
            spent: sum(self.spent, later.spent),
            free_spent: sum(self.free_spent, later.free_spent),
            purchased_spent: sum(self.purchased_spent, later.purchased_spent),
            granted: sum(self.granted, later.granted),
            purchased: sum(self.purchased, later.purchased),
            gifted: sum(self.gifted, later.gifted),
            expired: self.expired.zip(later.expired).map(|(a, b)| sum(a, b)),
        }
    }

    /// The price of what was bought.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        Amount::of(self.purchased)
    }
}

impl Statement {
    /// This and a later one as one.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let mut used = self.used;
        used.merge(&later.used);
        Self { start: self.start, used, credits: self.credits.and(later.credits), ..later }
    }

    /// The statement of the cycle that was over when a pool changed from `before` to `after`; `None`
    /// if it went on, or if there is nothing to tell of the time between two subscriptions.
    #[must_use]
    pub fn of(before: &Pool, after: &Pool) -> Option<Self> {
        let tally = before.tally;
        if tally.number == after.tally.number {
            return None;
        }
        let was_reset = before.terms.reset_epoch != after.terms.reset_epoch;
        let lapsed = if was_reset { before.balance.free() } else { Credits::ZERO };
        let credits =
            Spending { expired: lapsed.checked_add(tally.expired), ..Spending::so_far(before) };
        let nothing = Spending { expired: Some(Credits::ZERO), ..Spending::default() };
        let cycle = before.terms.cycle;
        if cycle.is_none() && before.used.is_empty() && credits == nothing {
            return None;
        }
        // A change of plan ends a cycle before its time.
        let next = after.tally.since?;
        let end = cycle.map_or(next, |cycle| cycle.end.min(next));
        Some(Self {
            team: before.team.clone(),
            number: tally.number,
            start: cycle.map(|cycle| cycle.start).or(tally.since).unwrap_or(end),
            end,
            plan: before.terms.subscription.as_ref().map(|current| current.plan.clone()),
            used: before.used.clone(),
            credits,
        })
    }
}
