//! Cycles and their statements.

use std::collections::BTreeMap;

use super::calendar::{months_after, written};
use super::{Day, Plan, Reference};
use crate::support::operations::{ClosedCycle, Cycle};

impl Reference {
    /// Applies due changes: holds that expired before the current cycle, the end of the cycle, all
    /// other expired holds.
    pub(super) fn apply_due(&mut self) {
        if self.is_over() {
            self.end_cycle();
        }
        self.expire(self.today);
    }

    pub(super) fn is_over(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.cycle_end <= self.today && !self.closed)
    }

    pub(super) fn end_cycle(&mut self) {
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

    /// Closes the current cycle with a statement and resets its counters.
    pub(super) fn close_cycle(&mut self, next: Day, lapsed: u64) {
        let (cycle, plan) = (self.cycle(), self.plan.as_ref());
        let expired = lapsed + self.expired_late;
        let nothing = Cycle { used: BTreeMap::new(), ..Cycle::default() };
        if plan.is_some() || cycle != nothing || expired > 0 {
            let end = plan.map_or(next, |plan| plan.cycle_end.min(next));
            let start = plan.map(|plan| plan.cycle_start).or(self.counted_since).unwrap_or(end);
            self.statements.push(ClosedCycle {
                start: written(start),
                end: written(end),
                plan: plan.map(|plan| plan.name.to_owned()),
                cycle,
                expired,
            });
        }
        self.used.clear();
        self.received.clear();
        self.expired_late = 0;
        self.counted_since = Some(next);
        self.free_at_start = self.buckets().0 - lapsed;
    }

    pub(super) fn cycle(&self) -> Cycle {
        let (free, _) = self.buckets();
        let received = |kind: &str| self.received.get(kind).copied().unwrap_or(0);
        let spent = self.used.values().map(|[_, _, credits]| credits).sum();
        let granted = received("grant");
        Cycle {
            used: self.used.clone(),
            spent,
            free_spent: spent.min((self.free_at_start + granted).saturating_sub(free)),
            granted,
            bought: received("purchase"),
            gifted: received("gift"),
        }
    }
}
