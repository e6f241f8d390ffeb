//! Changes of a pool's terms. A grant is a blind update in two variants, chosen by the side of the mark
//! that the balance is on. The ledger entries are put in the same transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::expression::Expression;
use super::pool::Upkeep;
use super::recall::{MARK_POLL_MAX, Recall};
use super::requests::{put, update};
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::pool::balance::BalanceChange;
use crate::domain::pool::epochs::GROUPS_USUAL;
use crate::domain::subscription::terms::Change;
use crate::domain::time::Time;

impl Store {
    /// Opens an empty pool for a team that has none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn open(&self, team: &TeamId) -> Result<(), Error> {
        let pool = self.put_new(&Pool::open(team.clone()), keys::pool(team))?;
        self.transact(vec![put(pool)], &mut self.retry_budget()).await.map(drop)
    }

    /// Changes the terms as `decide` wants it for the pool as it is; `None` leaves everything as it
    /// is. Returns the pool after it.
    ///
    /// # Errors
    /// Those of `decide`, and those of [`Store::pool`].
    pub async fn change(
        &self,
        team: &TeamId,
        now: Time,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
    ) -> Result<Pool, Error> {
        let mut recall = Recall::default();
        let changed = Box::pin(self.change_in_recall(team, now, decide, &mut recall)).await;
        Box::pin(self.end_recall(team, recall)).await;
        changed
    }

    async fn change_in_recall(
        &self,
        team: &TeamId,
        now: Time,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
        recall: &mut Recall,
    ) -> Result<Pool, Error> {
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let done = &mut Upkeep::default();
            let pool =
                Box::pin(self.with_changes_made(team, now, &mut budget, recall, done)).await?;
            let Some(change) = decide(&pool)? else { return Ok(pool) };
            if change.ends_lanes() && !pool.lanes.is_zero() {
                if !Box::pin(self.recall_lanes(&pool, now, recall, &budget)).await? {
                    budget.wait(MARK_POLL_MAX).await?;
                }
            } else if Box::pin(self.apply(&pool, &change, &mut budget)).await? {
                return Box::pin(self.with_changes_made(team, now, &mut budget, recall, done))
                    .await;
            } else {
                budget.back_off().await?;
            }
        }
    }

    /// Applies a change that was decided on `seen`. `false` if the pool has changed since, or if lanes
    /// are open that must be returned first; nothing is changed then.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn apply(
        &self,
        seen: &Pool,
        change: &Change,
        budget: &mut RetryBudget,
    ) -> Result<bool, Error> {
        if change.effect.is_grant()
            && seen.owed.groups() > GROUPS_USUAL
            && self.join_groups(seen).await?.is_none()
        {
            return Ok(false);
        }
        let cancelled = self.transact(self.change_writes(seen, change)?, budget).await?;
        self.refusals.remove(&seen.team);
        Ok(cancelled.is_none())
    }

    /// One attempt of [`Store::apply`].
    ///
    /// # Errors
    /// [`Error::Busy`] also if another write was in the way; [`Error::Internal`].
    pub(super) async fn apply_once(&self, seen: &Pool, change: &Change) -> Result<bool, Error> {
        let writes = self.change_writes(seen, change)?;
        Ok(self.try_transact(writes, &self.retry_budget()).await?.is_none())
    }

    fn change_writes(&self, seen: &Pool, change: &Change) -> Result<Vec<TransactWriteItem>, Error> {
        let mut writes = vec![update(self.change_of(seen, change)?)];
        for entry in &change.entries {
            writes.push(put(self.put_entry(entry)?));
        }
        Ok(writes)
    }

    fn change_of(&self, seen: &Pool, change: &Change) -> Result<Update, Error> {
        let mut expression = Expression::default();
        expression.condition("version = :seen");
        expression.set("version = :next");
        expression.value(":seen", keys::number(seen.version));
        expression.value(":next", keys::number(seen.version.saturating_add(1)));
        expression.replace("terms", &seen.terms, &change.terms)?;
        if change.ends_lanes() {
            expression.condition("lanes = :no_lanes");
            expression.value(":no_lanes", keys::number(0));
        }
        match change.effect {
            BalanceChange::Keep | BalanceChange::Charge(_) | BalanceChange::Purchase(_) => {}
            BalanceChange::Grant(more) | BalanceChange::Reset(more) => {
                expression.grant(seen, matches!(change.effect, BalanceChange::Reset(_)));
                expression.value(":grant", keys::number(more.get()));
            }
        }
        if let Some(tally) = &change.tally {
            let tally = serde_dynamo::to_attribute_value(tally).map_err(Error::internal)?;
            expression.set("tally = :tally, used = :unused");
            expression.value(":tally", tally);
            expression.value(":unused", AttributeValue::M(HashMap::new()));
            for week in seen.weeks.old(change.at) {
                expression.remove(format!("weeks.{week}"));
            }
            if change.effect == BalanceChange::Keep {
                expression.pin(seen);
            }
        } else if let BalanceChange::Grant(_) = change.effect {
            expression.set("tally.granted = tally.granted + :grant");
        }
        let after = Pool { terms: change.terms.clone(), ..seen.clone() };
        if let Some(at) = after.due_at() {
            expression.set("due = :due, due_at = :due_at");
            expression.value(":due", keys::text(keys::due_shard_of(&seen.team)));
            expression.value(":due_at", keys::text(at.to_string()));
        } else {
            expression.remove("due, due_at");
        }
        let update = Update::builder().table_name(&*self.table);
        expression.build(update.set_key(Some(keys::pool(&seen.team))))
    }
}
