//! Recalling a team's lanes for a change that needs all of them returned.
//!
//! The process first marks the pool. Under a mark no lane is opened, and other processes wait. After the
//! change it opens the lanes again and removes the mark. A mark ends by itself; no condition relies on it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::unmet;
use super::requests::retry_within;
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::hold::Hold;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// The duration of a mark, in seconds. A change takes a fraction of that.
pub(super) const MARK_SECONDS: u32 = 2;

/// A process marks the pool again after this time.
const MARK_FRESH_FOR: Duration = Duration::from_secs(1);

/// A process waits this often for the mark of another process before it replaces the mark.
const WAITS_MAX: u32 = 16;

/// The recall of a team's lanes by this process.
#[derive(Debug, Default)]
pub(super) struct Recall {
    /// This process's last mark.
    mark: Option<Mark>,
    /// The mark of another process that this one waits for, and how often it has.
    awaited: Option<Time>,
    waits: u32,
    /// The returned lanes, which are opened again at the end.
    lanes: BTreeMap<Id, Hold>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Time,
    until: Time,
    since: Instant,
}

impl Recall {
    /// Whether this process has marked the pool.
    pub(super) const fn is_begun(&self) -> bool {
        self.mark.is_some()
    }

    /// Whether to wait once more for another process. The mark of a process whose clock is far ahead would
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

/// The longest pause before a marked pool is read again.
pub(super) const MARK_POLL_MAX: Duration = Duration::from_millis(250);

impl Store {
    /// Marks the pool and returns all lanes of the team. `false` if another process has marked it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn recall_lanes(
        &self,
        seen: &Pool,
        now: Time,
        recall: &mut Recall,
        budget: &RetryBudget,
    ) -> Result<bool, Error> {
        let is_ours = self.begin_recall(seen, now, recall, budget).await?;
        if is_ours {
            for lane in Box::pin(self.return_lanes(&seen.team, now, budget)).await? {
                recall.lanes.insert(lane.id.clone(), lane);
            }
        }
        Ok(is_ours)
    }

    /// Marks the pool unless another process has marked it. Returns whether this process has marked it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn begin_recall(
        &self,
        seen: &Pool,
        now: Time,
        recall: &mut Recall,
        budget: &RetryBudget,
    ) -> Result<bool, Error> {
        if recall.mark.is_some_and(|mark| mark.since.elapsed() < MARK_FRESH_FOR) {
            return Ok(true);
        }
        let at = budget.current_time(now);
        if recall.must_wait(seen, at) {
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
        recall.mark = is_marked.await?.then(|| Mark { at, until, since: Instant::now() });
        Ok(recall.is_begun())
    }

    /// Opens the returned lanes again and removes the mark of this process, if it has set one. A failure is
    /// logged: the change is made, and the mark ends by itself.
    pub(super) async fn end_recall(&self, team: &TeamId, recall: Recall) {
        let Some(mark) = recall.mark else { return };
        let budget =
            RetryBudget::lasting(Duration::from_secs(MARK_SECONDS.into())).with_short_pauses();
        let reopened = self.reopen_lanes(team, recall.lanes, mark.at, budget.clone());
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
}
