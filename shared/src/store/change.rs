//! Changes of a pool's terms. A grant is a blind update in two variants, chosen by the side of the mark
//! that the balance is on. The ledger entries are put in the same transaction.
//!
//! A change that needs all lanes returned first marks the pool, so that none is opened meanwhile. The
//! mark also tells other processes to wait. After the change the lanes are opened again, and the mark
//! is removed. It ends by itself, and no condition relies on it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use serde::Serialize;
use tokio::time::Instant;

use super::access::{put, retry_within, update};
use super::expression::Expression;
use super::failure::unmet;
use super::keys::Item;
use super::pool::Upkeep;
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::hold::Hold;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::Pool;
use crate::domain::pool::balance::Effect;
use crate::domain::pool::epochs::GROUPS_USUAL;
use crate::domain::subscription::terms::Change;
use crate::domain::time::Time;

/// How many seconds a process's mark lasts. A change takes a fraction of that.
pub(super) const MARK_SECONDS: u32 = 2;

/// After this time a process marks the pool again.
const MARK_AGAIN: Duration = Duration::from_secs(1);

/// How often a process waits for another one's mark before it replaces it.
const WAITS_MAX: u32 = 16;

/// A process's turn to make a change that others may make as well.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// This process's last mark.
    mark: Option<Mark>,
    /// The mark of another process that this one waits for, and how often it has.
    awaited: Option<Time>,
    waits: u32,
    /// The lanes that it has returned, to be opened again.
    lanes: BTreeMap<Id, Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Time,
    until: Time,
    since: Instant,
}

impl Turn {
    /// Whether this process has marked the pool.
    pub(super) const fn is_ours(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether to wait once more for another process. The mark of one whose clock is far ahead would
    /// last too long.
    pub(super) fn must_wait(&mut self, pool: &Pool, present: Time) -> bool {
        let is_own = self.mark.is_some_and(|mark| pool.changing_until == Some(mark.until));
        if is_own || !pool.is_changing(present) {
            return false;
        }
        if self.awaited != pool.changing_until {
            (self.awaited, self.waits) = (pool.changing_until, 0);
        }
        self.waits = self.waits.saturating_add(1);
        self.waits <= WAITS_MAX
    }
}

/// The longest pause before a pool is read again that another process changes.
pub(super) const CHANGE_POLL: Duration = Duration::from_millis(250);

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
        let mut turn = Turn::default();
        let changed = Box::pin(self.change_in_turn(team, now, decide, &mut turn)).await;
        Box::pin(self.end_turn(team, turn)).await;
        changed
    }

    async fn change_in_turn(
        &self,
        team: &TeamId,
        now: Time,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
        turn: &mut Turn,
    ) -> Result<Pool, Error> {
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let done = &mut Upkeep::default();
            let pool = Box::pin(self.with_changes_made(team, now, &mut budget, turn, done)).await?;
            let Some(change) = decide(&pool)? else { return Ok(pool) };
            if change.ends_lanes() && !pool.lanes.is_zero() {
                if !Box::pin(self.return_lanes_in_turn(&pool, now, turn, &budget)).await? {
                    budget.wait(CHANGE_POLL).await?;
                }
            } else if Box::pin(self.apply(&pool, &change, &mut budget)).await? {
                return Box::pin(self.with_changes_made(team, now, &mut budget, turn, done)).await;
            } else {
                budget.back_off().await?;
            }
        }
    }

    /// Returns all lanes of a team if it is this process's turn, and whether it is.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn return_lanes_in_turn(
        &self,
        seen: &Pool,
        now: Time,
        turn: &mut Turn,
        budget: &RetryBudget,
    ) -> Result<bool, Error> {
        let is_ours = self.take_turn(seen, now, turn, budget).await?;
        if is_ours {
            for lane in Box::pin(self.return_lanes(&seen.team, now, budget)).await? {
                turn.lanes.insert(lane.id.clone(), lane);
            }
        }
        Ok(is_ours)
    }

    /// Marks the pool, so that no lane is opened and other processes wait, unless another process has
    /// marked it. Whether it is this process's turn: it has marked the pool, which was as it was seen.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn take_turn(
        &self,
        seen: &Pool,
        now: Time,
        turn: &mut Turn,
        budget: &RetryBudget,
    ) -> Result<bool, Error> {
        if turn.mark.is_some_and(|mark| mark.since.elapsed() < MARK_AGAIN) {
            return Ok(true);
        }
        let at = budget.current_time(now);
        if turn.must_wait(seen, at) {
            return Ok(false);
        }
        let until = at.plus_seconds(MARK_SECONDS);
        let mut mark = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&seen.team)))
            .update_expression("SET changing_until = :until")
            .expression_attribute_values(":until", keys::text(until.to_string()));
        mark = match seen.changing_until {
            Some(before) => mark
                .condition_expression("changing_until = :before")
                .expression_attribute_values(":before", keys::text(before.to_string())),
            None => mark.condition_expression(
                "attribute_exists(pk) AND attribute_not_exists(changing_until)",
            ),
        };
        let mut awaited = budget.clone().with_short_pauses();
        let is_marked = retry_within(&mut awaited, || async {
            match mark.clone().send().await {
                Ok(_) => Ok(true),
                Err(error) => unmet(error).map(|_| false),
            }
        });
        turn.mark = is_marked.await?.then(|| Mark { at, until, since: Instant::now() });
        Ok(turn.is_ours())
    }

    /// Ends this process's turn, if it was: opens the lanes again that it has returned, and removes the
    /// mark. A failure is logged, because the change is made and the mark ends by itself.
    pub(super) async fn end_turn(&self, team: &TeamId, turn: Turn) {
        let Some(mark) = turn.mark else { return };
        let budget =
            RetryBudget::lasting(Duration::from_secs(MARK_SECONDS.into())).with_short_pauses();
        let reopened = self.reopen_lanes(team, turn.lanes, mark.at, budget.clone());
        if let Err(error) = Box::pin(reopened).await {
            tracing::warn!(%team, %error, "lanes stay closed after a change");
        }
        if let Err(error) = self.remove_mark(team, mark, budget).await {
            tracing::warn!(%team, %error, "a mark stays after a change");
        }
    }

    async fn remove_mark(
        &self,
        team: &TeamId,
        mark: Mark,
        mut budget: RetryBudget,
    ) -> Result<(), Error> {
        let end = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(team)))
            .update_expression("REMOVE changing_until")
            .condition_expression("changing_until = :own")
            .expression_attribute_values(":own", keys::text(mark.until.to_string()));
        retry_within(&mut budget, || async {
            end.clone().send().await.map(drop).or_else(|error| unmet(error).map(drop))
        })
        .await
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
        self.shortages.forget(&seen.team);
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
            Effect::Keep | Effect::Charge(_) | Effect::Purchase(_) => {}
            Effect::Grant(more) | Effect::Reset(more) => {
                expression.grant(seen, matches!(change.effect, Effect::Reset(_)));
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
            if change.effect == Effect::Keep {
                expression.pin(seen);
            }
        } else if let Effect::Grant(_) = change.effect {
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

    /// The put of a thing that must not exist yet; `keys` says where.
    pub(super) fn put_new(&self, thing: &impl Serialize, keys: Item) -> Result<Put, Error> {
        use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
        let mut item: Item = serde_dynamo::to_item(thing).map_err(Error::internal)?;
        item.extend(keys);
        Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)
    }
}
