//! Upkeep: the changes of a team that are due, its expired holds and its expired lanes.
//!
//! A read computes what is due. It writes a due change only if that needs one attempt, with no hold and no lane open. A
//! write first makes the due change, because its conditions are about the stored pool.

use futures_util::future::try_join;

use super::Store;
use super::operation::Operation;
pub use super::operation::Upkeep;
use crate::domain::hold::Hold;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::projection::Projection;
use crate::domain::subscription::terms::Change;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A projection is read at most this often until no lane or hold moves meanwhile.
const READS_MAX: u32 = 6;

impl Store {
    /// The team's pool with everything due computed. It waits for no write of another process. A due change is written
    /// in one attempt if no hold and no lane is open.
    ///
    /// Lanes and holds are read after the pool, and again if one of them moved meanwhile, at most six times. If they
    /// move all the time, the last of these moves may be missing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn projection_read(&self, team: &TeamId, now: Time) -> Result<Projection, Error> {
        Box::pin(async {
            let mut pool = self.pool_read(team).await?;
            if self.due_change_try(&pool, now).await {
                pool = self.pool_read(team).await?;
            }
            let (mut lanes, mut holds) = (Vec::new(), Vec::new());
            for _ in 0..READS_MAX {
                let read = try_join(self.lanes_read(&pool), self.open_holds_read(&pool)).await?;
                lanes = read.0;
                holds = read.1.into_iter().map(|stored| stored.hold).collect();
                if pool.lanes.is_zero() && has_counted(&pool, &holds) {
                    break;
                }
                let later = self.pool_read(team).await?;
                let is_same = later.lane_moves == pool.lane_moves && has_counted(&later, &holds);
                pool = later;
                if is_same {
                    break;
                }
            }
            Projection::new(pool, &lanes, holds, now)
        })
        .await
    }

    /// Makes the due change in one attempt if nothing must be returned before, so that a team that only reads gets the
    /// same grants as one that charges. Returns whether it was made.
    async fn due_change_try(&self, pool: &Pool, now: Time) -> bool {
        let is_simple = pool.open_holds == 0 && pool.lanes.is_zero() && !pool.is_changing(now);
        let Ok(Some(change)) = pool.due_change(now) else { return false };
        is_simple && self.terms_apply_once(pool, &change).await.unwrap_or(false)
    }

    /// The team's stored pool, after the due changes were made.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn pool_current(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        Box::pin(async {
            let mut operation = self.operation(team, now);
            let pool = self.due_changes_make(&mut operation).await;
            if operation.change_mark.is_none() {
                return pool;
            }
            self.recall_end(operation).await;
            self.pool_read(team).await
        })
        .await
    }

    /// Does everything that is due for a team: changes, expired holds and expired lanes.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn team_upkeep(&self, team: &TeamId, now: Time) -> Result<Upkeep, Error> {
        let mut operation = self.operation(team, now);
        let done = Box::pin(self.upkeep_run(&mut operation)).await;
        self.recall_end(operation).await;
        done
    }

    async fn upkeep_run(&self, operation: &mut Operation) -> Result<Upkeep, Error> {
        loop {
            let pool = self.due_changes_make(operation).await?;
            let expired = self.expired_holds_read(&pool, operation.now).await?;
            if !expired.is_empty() {
                self.holds_expire(&pool, &expired, operation).await?;
                continue;
            }
            if !pool.lanes.is_zero() {
                let Operation { team, now, .. } = &*operation;
                self.lanes_return(team, Some(*now), *now, &self.retry_budget()).await?;
            }
            return Ok(operation.done);
        }
    }

    /// Makes the due changes, or waits while another process makes them. Returns the pool after them.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn due_changes_make(&self, operation: &mut Operation) -> Result<Pool, Error> {
        loop {
            let pool = self.pool_read(&operation.team).await?;
            let Some(change) = pool.due_change(operation.now)? else { return Ok(pool) };
            if operation.take_wait(&pool)
                || !self.due_change_advance(&pool, &change, operation).await?
            {
                operation.wait_for_change().await?;
            }
        }
    }

    /// The next step of a due change: return the holds that expired before it, so that their captures count in the
    /// ending cycle; then return the lanes; then change the terms. Returns `false` if another process makes it.
    async fn due_change_advance(
        &self,
        pool: &Pool,
        change: &Change,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        let expired = self.expired_holds_read(pool, change.at).await?;
        if !expired.is_empty() {
            if !self.change_mark_put(pool, operation).await? {
                return Ok(false);
            }
            self.holds_expire(pool, &expired, operation).await?;
        } else if !pool.lanes.is_zero() {
            return self.lanes_recall(pool, operation).await;
        } else if self.terms_apply(pool, change, operation).await? {
            operation.done.terms_changed = true;
        } else {
            operation.budget.back_off().await?;
        }
        Ok(true)
    }

    /// Returns lanes or expired holds to a pool that lacks credits. They are expected to cover what is missing. After
    /// it the pool must be read again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn credits_gather(
        &self,
        pool: &Pool,
        missing: Credits,
        operation: &mut Operation,
    ) -> Result<(), Error> {
        if !pool.lanes.is_zero() {
            self.lanes_recall(pool, operation).await?;
        } else if self.holds_expire_covering(pool, missing, operation).await? {
            return operation.budget.check_left();
        }
        operation.budget.back_off().await
    }

    /// Changes the terms as `decide` derives it from the pool after due changes; `None` changes nothing. Returns the
    /// pool after it.
    ///
    /// # Errors
    /// Those of `decide`, and those of [`Store::pool_current`].
    pub async fn terms_change(
        &self,
        team: &TeamId,
        now: Time,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
    ) -> Result<Pool, Error> {
        let mut operation = self.operation(team, now).with_short_pauses();
        let changed = Box::pin(self.terms_change_in(decide, &mut operation)).await;
        self.recall_end(operation).await;
        changed
    }

    async fn terms_change_in(
        &self,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
        operation: &mut Operation,
    ) -> Result<Pool, Error> {
        loop {
            let pool = self.due_changes_make(operation).await?;
            let Some(change) = decide(&pool)? else { return Ok(pool) };
            if change.ends_lanes() && !pool.lanes.is_zero() {
                if !self.lanes_recall(&pool, operation).await? {
                    operation.wait_for_change().await?;
                }
            } else if self.terms_apply(&pool, &change, operation).await? {
                return self.due_changes_make(operation).await;
            } else {
                operation.budget.back_off().await?;
            }
        }
    }
}

/// Whether these are the open holds of the pool, with the counters that the pool lacks.
fn has_counted(pool: &Pool, holds: &[Hold]) -> bool {
    let sum = holds.iter().fold(0_i64, |sum, hold| sum.saturating_add(hold.checksum()));
    u64::try_from(holds.len()) == Ok(pool.open_holds) && sum == pool.hold_sum
}
