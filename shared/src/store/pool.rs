//! Reading a pool, and making the changes that are due.
//!
//! A read computes what is due and writes nothing. A write first makes the due change, because its
//! conditions are about the stored pool.

use futures_util::future::try_join;

use super::recall::{MARK_POLL_MAX, Recall};
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::hold::Hold;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::projection::Projection;
use crate::domain::time::Time;

/// A projection is read at most this often until no lane or hold moves meanwhile.
const READS_MAX: u32 = 6;

/// The due work that was done for a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Whether a cycle ended or a subscription began.
    pub turned: bool,
    /// The holds that were returned because they have expired.
    pub expired: u64,
}

impl Store {
    /// The team's pool as it is now for the team, with everything due computed. It waits for no other
    /// process's write.
    ///
    /// Lanes and holds are read after the pool, and again if one of them moved meanwhile, but at most
    /// six times. Where they move all the time, the last of these moves may be missing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn view(&self, team: &TeamId, now: Time) -> Result<Projection, Error> {
        Box::pin(self.read_projection(team, now)).await
    }

    async fn read_projection(&self, team: &TeamId, now: Time) -> Result<Projection, Error> {
        let mut pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
        if self.tries_due_change(&pool, now).await {
            pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
        }
        let (mut lanes, mut holds) = (Vec::new(), Vec::new());
        for _ in 0..READS_MAX {
            (lanes, holds) = try_join(self.lanes_of(&pool), self.holds_of(&pool)).await?;
            if pool.lanes.is_zero() && pool.explains(&holds) {
                break;
            }
            let later = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let is_same = later.lane_moves == pool.lane_moves && later.explains(&holds);
            pool = later;
            if is_same {
                break;
            }
        }
        Projection::new(pool, &lanes, holds, now)
    }

    /// Makes the due change in one attempt if nothing has to be returned before, so that a team that
    /// only reads gets the same grants as one that charges. Whether it was made.
    async fn tries_due_change(&self, pool: &Pool, now: Time) -> bool {
        let is_simple = pool.open_holds == 0 && pool.lanes.is_zero() && !pool.is_changing(now);
        let Some(change) = pool.due_change(now).filter(|_| is_simple) else { return false };
        self.apply_once(pool, &change).await.unwrap_or(false)
    }

    /// The team's stored pool, after the due changes were made.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn pool(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        let pool = async {
            let (mut budget, mut recall) = (self.retry_budget(), Recall::default());
            let pool = self.pool_within(team, now, &mut budget, &mut recall).await;
            if !recall.is_begun() {
                return pool;
            }
            self.end_recall(team, recall).await;
            self.read_pool(team).await?.ok_or(Error::NotFound("team"))
        };
        Box::pin(pool).await
    }

    /// The same as a part of an operation that began at `now` and may have marked the pool.
    pub(super) async fn pool_within(
        &self,
        team: &TeamId,
        now: Time,
        budget: &mut RetryBudget,
        recall: &mut Recall,
    ) -> Result<Pool, Error> {
        let done = &mut Upkeep::default();
        Box::pin(self.with_changes_made(team, now, budget, recall, done)).await
    }

    /// Whether the team's account can be used.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn check_open(&self, team: &TeamId) -> Result<(), Error> {
        self.read_pool(team).await?.ok_or(Error::NotFound("team"))?.check_open()
    }

    /// Does everything that is due for a team: changes, expired holds and expired lanes.
    ///
    /// # Errors
    /// Those of [`Store::pool`].
    pub async fn keep_up(&self, team: &TeamId, now: Time) -> Result<Upkeep, Error> {
        let (mut done, mut recall) = (Upkeep::default(), Recall::default());
        let kept_up = Box::pin(self.keep_up_in_recall(team, now, &mut recall, &mut done)).await;
        self.end_recall(team, recall).await;
        kept_up.map(|()| done)
    }

    async fn keep_up_in_recall(
        &self,
        team: &TeamId,
        now: Time,
        recall: &mut Recall,
        done: &mut Upkeep,
    ) -> Result<(), Error> {
        let mut budget = self.retry_budget();
        loop {
            let pool = self.with_changes_made(team, now, &mut budget, recall, done).await?;
            let expired = self.expired_holds(&pool, now).await?;
            if expired.is_empty() {
                if !pool.lanes.is_zero() {
                    self.return_expired_lanes(team, now).await?;
                }
                return Ok(());
            }
            let returned = self.return_expired(&pool, expired, now, &mut budget).await?;
            done.expired = done.expired.saturating_add(returned);
        }
    }

    /// Makes the due changes, or waits while another process makes them. Holds that expired before a
    /// change are returned before it: their captures count in the cycle that ends.
    pub(super) async fn with_changes_made(
        &self,
        team: &TeamId,
        now: Time,
        budget: &mut RetryBudget,
        recall: &mut Recall,
        done: &mut Upkeep,
    ) -> Result<Pool, Error> {
        loop {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let Some(change) = pool.due_change(now) else { return Ok(pool) };
            if recall.must_wait(&pool, budget.current_time(now)) {
                budget.wait(MARK_POLL_MAX).await?;
                continue;
            }
            let expired = self.expired_holds(&pool, change.at).await?;
            if expired.is_empty() && pool.lanes.is_zero() {
                if self.apply(&pool, &change, budget).await? {
                    done.turned = true;
                } else {
                    budget.back_off().await?;
                }
            } else if expired.is_empty() {
                if !self.recall_lanes(&pool, now, recall, budget).await? {
                    budget.wait(MARK_POLL_MAX).await?;
                }
            } else if !self.begin_recall(&pool, now, recall, budget).await? {
                budget.wait(MARK_POLL_MAX).await?;
            } else {
                let mut awaited = budget.clone().with_short_pauses();
                let returned = self.return_expired(&pool, expired, now, &mut awaited).await?;
                done.expired = done.expired.saturating_add(returned);
            }
        }
    }

    /// The stored pool, whatever is due.
    pub(super) async fn read_pool(&self, team: &TeamId) -> Result<Option<Pool>, Error> {
        let found = self.get(keys::pool(team)).await?;
        found.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }
}

impl Pool {
    /// Whether these are all its open holds.
    fn explains(&self, holds: &[Hold]) -> bool {
        let credits = holds.iter().try_fold(0_u64, |sum, hold| sum.checked_add(hold.credits.get()));
        u64::try_from(holds.len()) == Ok(self.open_holds) && credits == Some(self.held.get())
    }
}
