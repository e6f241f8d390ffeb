//! Reading a pool. Whoever meets a cycle that is over turns it, readers included, so that nobody
//! sees credits that have lapsed.

use super::lane::Which;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::change::Change;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// How often a balance is read at most until it stands still.
const READINGS: u32 = 3;

/// What was due and is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Whether a cycle was turned.
    pub turned: bool,
    /// How many holds have expired.
    pub expired: u64,
}

impl Store {
    /// The team's pool, with everything done that was due.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn pool(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        Box::pin(self.kept_up(team, now)).await.map(|(pool, _)| pool)
    }

    /// The team's pool as the team sees it: credits in lanes are part of the balance.
    ///
    /// It is read until no lane has come or gone meanwhile, but not for ever: where lanes come and go
    /// all the time, those that did so during the last reading may be counted twice or not at all.
    ///
    /// # Errors
    /// Those of [`Store::pool`].
    pub async fn balance(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        let mut pool = self.pool(team, now).await?;
        let mut lanes = Vec::new();
        for _ in 0..READINGS {
            if pool.lanes.is_zero() {
                return Ok(pool);
            }
            lanes = self.lanes_of(team).await?;
            let later = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let before = std::mem::replace(&mut pool, later);
            if before.lane_moves == pool.lane_moves {
                break;
            }
        }
        for lane in &lanes {
            pool.take_back_lane(lane, now);
        }
        Ok(pool)
    }

    /// The team's pool, and what was due and is done now.
    ///
    /// # Errors
    /// Those of [`Store::pool`].
    pub async fn kept_up(&self, team: &TeamId, now: Time) -> Result<(Pool, Upkeep), Error> {
        let mut patience = self.patience();
        let mut done = Upkeep::default();
        loop {
            let mut pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            if !pool.held.is_zero() {
                // Holds that end before a cycle begins come first: they belong to the one before, and a
                // grant forgets what is owed to epochs whose holds have all expired.
                let by = pool.turn(now).map_or(now, |change| change.at);
                let expired = self.expire(team, by, now, &mut patience).await?;
                done.expired = done.expired.saturating_add(expired);
                // Somebody else may have given them back since the pool was read.
                pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            }
            if !pool.lanes.is_zero() && Box::pin(self.call_back(team, Which::Expired, now)).await? {
                patience.check()?;
                continue;
            }
            let Some(change) = pool.turn(now) else { return Ok((pool, done)) };
            if self.apply(&pool, &change, now, &mut patience).await? {
                done.turned = true;
            } else {
                patience.pause().await?;
            }
        }
    }

    /// Changes the terms as `decide` wants it for the pool as it is; `None` leaves all as it is.
    /// The pool after it.
    ///
    /// # Errors
    /// Those of `decide`, and those of [`Store::pool`].
    pub async fn change(
        &self,
        team: &TeamId,
        now: Time,
        decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
    ) -> Result<Pool, Error> {
        let mut patience = self.patience();
        loop {
            let pool = self.pool(team, now).await?;
            match decide(&pool)? {
                None => return Ok(pool),
                Some(change) if self.apply(&pool, &change, now, &mut patience).await? => {
                    return self.pool(team, now).await;
                }
                Some(_) => patience.pause().await?,
            }
        }
    }

    pub(super) async fn read_pool(&self, team: &TeamId) -> Result<Option<Pool>, Error> {
        let found = self.get(keys::pool(team)).await?;
        found.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }
}
