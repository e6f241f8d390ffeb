//! Counting what is charged, in the write that pays for it.
//!
//! Names are short: one write may add to 63 counters, and an expression has at most 4 KB.

use std::fmt::Write;

use aws_sdk_dynamodb::types::builders::UpdateBuilder;

use super::keys::number;
use crate::domain::Credits;
use crate::domain::pool::spend::{old_weeks, week};
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;

/// Adds what was done with the credits to an update of the payer. `set` is its `SET` clause.
pub(super) fn count(used: &Usage, set: &mut String, mut update: UpdateBuilder) -> UpdateBuilder {
    for (counter, more) in used.counters() {
        write!(set, ",#u.{counter}=if_not_exists(#u.{counter},:o)+:{counter}").ok();
        update = update.expression_attribute_values(format!(":{counter}"), number(more));
    }
    if used.is_empty() {
        return update;
    }
    update.expression_attribute_names("#u", "used").expression_attribute_values(":o", number(0))
}

/// Has an update of a pool count what was spent for the forecast. `set` is all that stands in its
/// `SET` clause, and is followed by a `REMOVE`.
pub(super) fn count_week(
    spent: Credits,
    now: Time,
    set: &mut String,
    update: UpdateBuilder,
) -> UpdateBuilder {
    if spent.is_zero() {
        return update;
    }
    let week = week(now);
    let old = old_weeks(now).map(|week| format!("weeks.{week}")).join(", ");
    write!(set, ", weeks.{week} = if_not_exists(weeks.{week}, :unspent) + :spent REMOVE {old}")
        .ok();
    update
        .expression_attribute_values(":unspent", number(0))
        .expression_attribute_values(":spent", number(spent.get()))
}
