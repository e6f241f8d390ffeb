//! Statements: the usage and the credits of a past cycle.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::ids::TeamId;
use crate::domain::money::{Amount, Currency};
use crate::domain::pool::Pool;
use crate::domain::pool::totals::CycleTotals;
use crate::domain::pool::usage::Usage;

/// The credits of a cycle, by source and use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// The credits charged. Captures count in the cycle in which their hold closes.
    pub spent: Credits,
    /// The part of `spent` that free credits of the cycle paid.
    pub free_spent: Credits,
    /// The part of `spent` that purchased and gifted credits paid, or a hold of an earlier cycle.
    pub purchased_spent: Credits,
    /// The free credits granted.
    pub granted: Credits,
    /// The credits purchased.
    pub purchased: Credits,
    /// Their price in cents.
    #[serde(default)]
    pub purchased_cents: u64,
    /// The credits gifted, at no price.
    pub gifted: Credits,
    /// The free credits that lapsed; `None` while the cycle runs.
    pub expired: Option<Credits>,
}

/// A cycle that is over, or the time between two subscriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The team.
    pub team: TeamId,
    /// The number of the cycle within the team, see [`CycleTotals::number`].
    pub number: u64,
    /// The first day.
    pub start: Date,
    /// The day after the last.
    pub end: Date,
    /// The plan; `None` without a subscription.
    pub plan: Option<String>,
    /// The usage by action.
    pub used: Usage,
    /// The credits.
    pub credits: Spending,
}

impl Spending {
    /// The credits of a pool's current cycle so far. Free credits that are no longer in the balance
    /// count as spent first.
    #[must_use]
    pub fn so_far(pool: &Pool) -> Self {
        let CycleTotals { kept, granted, bought, bought_cents, gifted, .. } = pool.tally;
        let (spent, free) = (pool.used.spent(), pool.balance.free());
        let from_kept = kept.excess_over(free).min(spent);
        let rest = spent.excess_over(from_kept);
        let from_granted = granted.excess_over(free.excess_over(kept)).min(rest);
        let purchased_spent = rest.excess_over(from_granted);
        Self {
            spent,
            free_spent: spent.excess_over(purchased_spent),
            purchased_spent,
            granted,
            purchased: bought,
            purchased_cents: bought_cents,
            gifted,
            expired: None,
        }
    }

    /// The sum of these and later credits.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let sum = |a: Credits, b: Credits| a.checked_add(b).unwrap_or(Credits::MAX);
        Self {
            spent: sum(self.spent, later.spent),
            free_spent: sum(self.free_spent, later.free_spent),
            purchased_spent: sum(self.purchased_spent, later.purchased_spent),
            granted: sum(self.granted, later.granted),
            purchased: sum(self.purchased, later.purchased),
            purchased_cents: self.purchased_cents.saturating_add(later.purchased_cents),
            gifted: sum(self.gifted, later.gifted),
            expired: self.expired.zip(later.expired).map(|(a, b)| sum(a, b)),
        }
    }

    /// The price of the credits purchased. A catalogue has one currency.
    #[must_use]
    pub const fn amount(&self, currency: Currency) -> Amount {
        Amount { cents: self.purchased_cents, currency }
    }
}

impl Statement {
    /// One statement for the time of this one and of a later one.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        let mut used = self.used;
        used.merge(&later.used);
        Self { start: self.start, used, credits: self.credits.and(later.credits), ..later }
    }

    /// The statement of the cycle that ended when a pool changed from `before` to `after`; `None` if
    /// no cycle ended, or if nothing happened between two subscriptions.
    #[must_use]
    pub fn of(before: &Pool, after: &Pool) -> Option<Self> {
        let tally = before.tally;
        if tally.number == after.tally.number {
            return None;
        }
        let is_reset = before.terms.reset_epoch != after.terms.reset_epoch;
        let lapsed = if is_reset { before.balance.free() } else { Credits::ZERO };
        let credits =
            Spending { expired: lapsed.checked_add(tally.expired), ..Spending::so_far(before) };
        let nothing = Spending { expired: Some(Credits::ZERO), ..Spending::default() };
        let cycle = before.terms.cycle;
        if cycle.is_none() && before.used.is_empty() && credits == nothing {
            return None;
        }
        // A change of plan ends a cycle early.
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
