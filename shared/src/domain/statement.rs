//! Statements: the usage and the credits of a past cycle.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
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
    ///
    /// # Errors
    /// [`TooMany`] if the credits charged are more than [`Credits::MAX`].
    pub fn of_current_cycle(pool: &Pool) -> Result<Self, TooMany> {
        let CycleTotals { kept, granted, purchased, purchased_cents, gifted, .. } = pool.totals;
        let (spent, free) = (pool.used.spent()?, pool.balance.free());
        let from_kept = kept.excess_over(free).min(spent);
        let rest = spent.excess_over(from_kept);
        let from_granted = granted.excess_over(free.excess_over(kept)).min(rest);
        let purchased_spent = rest.excess_over(from_granted);
        Ok(Self {
            spent,
            free_spent: spent.excess_over(purchased_spent),
            purchased_spent,
            granted,
            purchased,
            purchased_cents,
            gifted,
            expired: None,
        })
    }

    /// The sum of these and later credits.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn and(self, later: Self) -> Result<Self, TooMany> {
        let expired = self.expired.zip(later.expired);
        Ok(Self {
            spent: self.spent.try_add(later.spent)?,
            free_spent: self.free_spent.try_add(later.free_spent)?,
            purchased_spent: self.purchased_spent.try_add(later.purchased_spent)?,
            granted: self.granted.try_add(later.granted)?,
            purchased: self.purchased.try_add(later.purchased)?,
            purchased_cents: self
                .purchased_cents
                .checked_add(later.purchased_cents)
                .ok_or(TooMany)?,
            gifted: self.gifted.try_add(later.gifted)?,
            expired: expired.map(|(expired, later)| expired.try_add(later)).transpose()?,
        })
    }

    /// The price of the credits purchased. A catalogue has one currency.
    #[must_use]
    pub const fn amount(&self, currency: Currency) -> Amount {
        Amount { cents: self.purchased_cents, currency }
    }
}

impl Statement {
    /// One statement for the time of this one and of a later one.
    ///
    /// # Errors
    /// [`TooMany`] if a sum leaves its range.
    pub fn and(self, later: Self) -> Result<Self, TooMany> {
        let mut used = self.used;
        used.merge(&later.used)?;
        let credits = self.credits.and(later.credits)?;
        Ok(Self { start: self.start, used, credits, ..later })
    }

    /// The statement of the cycle that ended when a pool changed from `before` to `after`; `None` if
    /// no cycle ended, or if nothing happened between two subscriptions.
    ///
    /// # Errors
    /// [`TooMany`] if an amount is larger than [`Credits::MAX`].
    pub fn of(before: &Pool, after: &Pool) -> Result<Option<Self>, TooMany> {
        let totals = before.totals;
        if totals.number == after.totals.number {
            return Ok(None);
        }
        let is_reset = before.terms.reset_epoch != after.terms.reset_epoch;
        let lapsed = if is_reset { before.balance.free() } else { Credits::ZERO };
        let expired = Some(lapsed.try_add(totals.expired)?);
        let credits = Spending { expired, ..Spending::of_current_cycle(before)? };
        let nothing = Spending { expired: Some(Credits::ZERO), ..Spending::default() };
        let cycle = before.terms.cycle;
        if cycle.is_none() && before.used.is_empty() && credits == nothing {
            return Ok(None);
        }
        // A change of plan ends a cycle early.
        let Some(next) = after.totals.since else { return Ok(None) };
        let end = cycle.map_or(next, |cycle| cycle.end.min(next));
        Ok(Some(Self {
            team: before.team.clone(),
            number: totals.number,
            start: cycle.map(|cycle| cycle.start).or(totals.since).unwrap_or(end),
            end,
            plan: before.terms.subscription.as_ref().map(|current| current.plan.clone()),
            used: before.used.clone(),
            credits,
        }))
    }
}
