//! The pool item: read, opened, and updated by what holds and lanes return.

use super::Store;
use super::counters::ACTIONS_PER_WRITE_MAX;
use super::dynamo::expression::Expression;
use super::dynamo::{from_item, keys};
use super::operation::Operation;
use crate::domain::credits::TooMany;
use crate::domain::ids::TeamId;
use crate::domain::pool::epochs::Owed;
use crate::domain::pool::usage::Usage;
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error, Resource};

impl Store {
    /// Opens an empty pool for a team that has none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn pool_open(&self, team: &TeamId) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.put_new(&Pool::open(team.clone()), keys::pool(team))?;
        self.transact(&transaction, &mut self.retry_budget()).await.map(drop)
    }

    /// The stored pool, even if a change of it is due.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn pool_read(&self, team: &TeamId) -> Result<Pool, Error> {
        from_item(self.item_get(keys::pool(team)).await?.ok_or(Error::NotFound(Resource::Team))?)
    }

    /// Checks that the team exists.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn team_check(&self, team: &TeamId) -> Result<(), Error> {
        self.pool_read(team).await.map(drop)
    }

    /// Checks that the team's account is not closed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn account_check_open(&self, team: &TeamId) -> Result<(), Error> {
        self.pool_read(team).await?.check_open()
    }

    /// Stores what is owed with groups joined. Returns whether nothing had changed it since.
    pub(super) async fn pool_put_owed(
        &self,
        pool: &Pool,
        owed: &Owed,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        let join = Expression::on(keys::pool(&pool.team))
            .set("owed = :owed")
            .when("owed = :before")
            .value(":owed", owed)
            .value(":before", &pool.owed);
        Ok(self.item_update(join, &mut operation.budget).await?.is_written())
    }
}

impl Expression {
    /// On condition that the account is not closed.
    pub(super) fn when_active(self) -> Self {
        self.when("terms.account = :active").value(":active", Account::Active)
    }

    /// On condition that no change of the pool is due.
    pub(super) fn when_not_due(self, now: Time) -> Self {
        self.when("(attribute_not_exists(due_at) OR due_at > :now)").value(":now", now)
    }

    /// Puts an item of a team into the index of due items, or removes it.
    pub(super) fn put_due(self, team: &TeamId, at: Option<Time>) -> Self {
        match at {
            Some(at) => self
                .set("due = :due, due_at = :due_at")
                .value(":due", keys::due_shard_of(team))
                .value(":due_at", at),
            None => self.remove("due, due_at"),
        }
    }
}

/// The counts of holds and lanes that a pool receives. Their sums are not derived from the pool, which may have been read
/// before a hold was taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Returned {
    /// The credits of the holds, captured ones included.
    pub(super) held: Credits,
    /// The number of holds.
    pub(super) holds: u64,
    /// The credits of the lanes, spent ones included.
    pub(super) lanes: Credits,
    /// The usage of both.
    pub(super) used: Usage,
}

/// The update of a pool by the holds and lanes that `after` has received. It depends on the epoch
/// and on what is owed; with the usage of many actions, also on the terms and the counters that exist.
///
/// # Errors
/// [`TooMany`] if the usage cost more than [`Credits::MAX`](crate::domain::Credits::MAX).
pub(super) fn received(
    pool: &Pool,
    after: &Pool,
    returned: &Returned,
    now: Time,
) -> Result<Expression, TooMany> {
    let Returned { held, holds, lanes, used } = returned;
    let mut update = Expression::on(keys::pool(&pool.team))
        .set("credits = credits + :back, mark = mark + :purchased")
        .value(":back", after.balance.credits.excess_over(pool.balance.credits))
        .value(":purchased", after.balance.mark.excess_over(pool.balance.mark))
        .set("held = held - :held, open_holds = open_holds - :holds")
        .value(":held", held)
        .value(":holds", holds)
        .set("hold_sum = hold_sum + :sum")
        .value(":sum", after.hold_sum.saturating_sub(pool.hold_sum))
        .set("lanes = lanes - :lanes, lane_moves = lane_moves + :moves")
        .value(":lanes", lanes)
        .value(":moves", u64::from(!lanes.is_zero()))
        .set("totals.expired = totals.expired + :expired")
        .value(":expired", after.totals.expired.excess_over(pool.totals.expired))
        .add_usage_to(&pool.used, used)
        .add_weekly_spend(used.spent()?, now)
        .when("epoch = :epoch")
        .value(":epoch", pool.epoch);
    if used.counts.len() > ACTIONS_PER_WRITE_MAX {
        // The counters that exist are those of the pool as it was read.
        update = update.when("version = :version").value(":version", pool.version);
    }
    if after.owed != pool.owed {
        update = update
            .set("owed = :owed")
            .value(":owed", &after.owed)
            .when("owed = :owed_before")
            .value(":owed_before", &pool.owed);
    }
    Ok(update)
}
