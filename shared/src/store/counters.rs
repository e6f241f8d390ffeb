//! Counters in the write of a payer: what was charged, by action and by week.
//!
//! Names are short: one write may add to 63 counters, and an expression has at most 4 KB.

use super::dynamo::expression::Expression;
use crate::domain::Credits;
use crate::domain::pool::spend::{old_weeks, week};
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;

impl Expression {
    /// Adds usage to the counters of a pool, a hold or a lane.
    #[must_use]
    pub(super) fn add_usage(self, used: &Usage) -> Self {
        if used.is_empty() {
            return self;
        }
        let add = |expression: Self, (counter, more): (&str, u64)| {
            expression
                .set(format!("#u.{counter}=if_not_exists(#u.{counter},:o)+:{counter}"))
                .value(&format!(":{counter}"), more)
        };
        used.counters().fold(self.name("#u", "used").value(":o", 0), add)
    }

    /// Adds credits to a pool's spending of this week, and removes the counters of weeks that the forecast no
    /// longer uses.
    #[must_use]
    pub(super) fn add_weekly_spend(self, spent: Credits, now: Time) -> Self {
        if spent.is_zero() {
            return self;
        }
        let week = week(now);
        let add = |expression: Self, week| expression.remove(format!("weeks.{week}"));
        old_weeks(now)
            .into_iter()
            .fold(self, add)
            .set(format!("weeks.{week} = if_not_exists(weeks.{week}, :unspent) + :spent"))
            .value(":unspent", 0)
            .value(":spent", spent)
    }
}
