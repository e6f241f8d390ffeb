//! Recalling a team's lanes for a change that needs all of them returned.
//!
//! The process first marks the pool. Under a mark no charge opens a lane, and other processes wait. After the change it
//! opens the lanes again and removes the mark. A mark ends by itself; no condition relies on it.

use std::time::Duration;

use tokio::time::Instant;

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys;
use super::operation::{ChangeMark, Operation};
use super::retry::RetryBudget;
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;

/// The duration of a mark, in seconds. A change takes a fraction of that.
pub const CHANGE_MARK_SECONDS: u32 = 2;

/// A process marks the pool again after this time.
const CHANGE_MARK_FRESH_FOR: Duration = Duration::from_secs(1);

impl Store {
    /// Marks the pool and returns all lanes of the team. Returns `false` if another process has marked the pool.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_recall(
        &self,
        seen: &Pool,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        let is_marked = self.change_mark_put(seen, operation).await?;
        if is_marked {
            let Operation { team, now, budget, .. } = &*operation;
            let returned = Box::pin(self.lanes_return(team, None, *now, budget)).await?;
            let returned = returned.into_iter().map(|lane| (lane.id.clone(), lane));
            operation.returned_lanes.extend(returned);
        }
        Ok(is_marked)
    }

    /// Marks the pool, unless another process has marked it. Returns whether this operation has marked it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn change_mark_put(
        &self,
        seen: &Pool,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        if operation.change_mark.is_some_and(|mark| mark.since.elapsed() < CHANGE_MARK_FRESH_FOR) {
            return Ok(true);
        }
        let at = operation.current_time();
        if operation.take_wait(seen) {
            return Ok(false);
        }
        let until = at.plus_seconds(CHANGE_MARK_SECONDS);
        let mark = Expression::on(keys::pool(&seen.team))
            .set("changing_until = :until")
            .value(":until", until);
        let mark = match seen.changing_until {
            Some(before) => mark.when("changing_until = :before").value(":before", before),
            None => mark.when("attribute_exists(pk) AND attribute_not_exists(changing_until)"),
        };
        // Other processes wait for this one.
        operation.budget = operation.budget.clone().with_short_pauses();
        let is_marked = self.item_update(mark, &mut operation.budget).await?.is_written();
        operation.change_mark = is_marked.then(|| ChangeMark { at, until, since: Instant::now() });
        Ok(is_marked)
    }

    /// Opens the returned lanes of an operation again and removes its mark. A failure is logged only: the change is
    /// made, and the mark ends by itself.
    pub(super) async fn recall_end(&self, operation: Operation) {
        let Operation { team, change_mark, returned_lanes, .. } = operation;
        let Some(mark) = change_mark else { return };
        let budget = RetryBudget::lasting(Duration::from_secs(CHANGE_MARK_SECONDS.into()))
            .with_short_pauses();
        let lanes = returned_lanes.into_values().collect();
        let reopened = self.lanes_reopen(&team, lanes, mark.at, budget.clone());
        if let Err(error) = Box::pin(reopened).await {
            tracing::warn!(%team, %error, "lanes stay closed after a change");
        }
        if let Err(error) = self.change_mark_remove(&team, mark, budget).await {
            tracing::warn!(%team, %error, "a mark stays after a change");
        }
    }

    async fn change_mark_remove(
        &self,
        team: &TeamId,
        mark: ChangeMark,
        mut budget: RetryBudget,
    ) -> Result<(), Error> {
        let end = Expression::on(keys::pool(team))
            .remove("changing_until")
            .when("changing_until = :own")
            .value(":own", mark.until);
        self.item_update(end, &mut budget).await.map(drop)
    }
}
