//! Reading a pool. Whoever meets a cycle that is over turns it, readers included, so that nobody
//! sees credits that have lapsed.

use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::subscription::Change;
use crate::domain::time::Time;

impl Store {
    /// The team's pool, its cycle turned if that was due.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn pool(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        let patience = self.patience();
        loop {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            match pool.turn(now) {
                None => return Ok(pool),
                Some(change) => self.apply(&pool, &change).await?,
            };
            patience.check()?;
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
                Some(change) if self.apply(&pool, &change).await? => {}
                Some(_) => patience.pause().await?,
            }
        }
    }

    async fn read_pool(&self, team: &TeamId) -> Result<Option<Pool>, Error> {
        let read = self.client.get_item().table_name(&*self.table).set_key(Some(keys::pool(team)));
        let found = read.consistent_read(true).send().await.map_err(super::failure::failure)?;
        found.item.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }
}
