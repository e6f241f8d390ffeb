//! Holds: taken from the pool, captured from without it, given back to it.
//!
//! A marker in the team's own partition stands for each open hold, so that they can be listed with
//! certainty; captures do not touch it.

use std::fmt::Write;

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::access::{delete, put, update};
use super::charge::Outcome;
use super::count::{count, count_week};
use super::failure::Leg;
use super::keys::{self, Item};
use super::lane::Which;
use super::patience::Patience;
use crate::domain::entry::{Entry, Kind};
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, Key, TeamId, UserId};
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// How many holds are read at a time.
const AT_ONCE: usize = 16;

/// Who gives a hold back.
#[derive(Clone, Debug)]
pub enum Release {
    /// Its owner, by a request with a key.
    ByOwner(Key, UserId),
    /// Its time is over.
    ByTime,
}

impl Store {
    /// Reserves credits. The outcome's entry tells of the hold.
    ///
    /// Its refusals are those of [`Store::charge`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn hold(&self, entry: Entry, now: Time) -> Result<Outcome, Error> {
        let team = entry.team.clone();
        let mut patience = self.patience();
        loop {
            let pool = match self.pool(&team, now).await {
                Ok(pool) => pool,
                Err(error @ Error::NotFound(_)) => return Ok(Outcome::Refused(error)),
                Err(error) => return Err(error),
            };
            let hold = Hold::of(&entry, &pool);
            let hold = hold.ok_or_else(|| Error::internal("this entry tells of no hold"))?;
            if pool.is_paused() && entry.is_enrichment() {
                return self.refused(&entry, Error::EnrichmentPaused).await;
            }
            if pool.balance.credits < hold.credits && pool.check_open().is_ok() {
                if pool.balance.credits.plus(pool.lanes).is_some_and(|all| all < hold.credits) {
                    return self.too_large(&entry, &pool, now).await;
                }
                Box::pin(self.call_back(&team, Which::All, now)).await?;
                patience.pause().await?;
                continue;
            }
            let writes = self.take(&pool, &hold, &entry, now)?;
            let legs = self.transact(writes, &mut patience).await?;
            match legs.as_deref() {
                None => {
                    self.shortages.forget(&team);
                    return Ok(Outcome::Charged(entry));
                }
                Some([.., Leg::Failed(Some(image))]) => {
                    return Outcome::earlier(image.clone(), &entry);
                }
                Some(_) => {
                    if let Err(error) = pool.check_open() {
                        return Ok(Outcome::Refused(error));
                    }
                    patience.check()?;
                }
            }
        }
    }

    /// The outcome of a hold that is refused, unless it was made before.
    async fn refused(&self, entry: &Entry, error: Error) -> Result<Outcome, Error> {
        match self.get(keys::entry(entry)).await? {
            Some(image) => Outcome::earlier(image, entry),
            None => Ok(Outcome::Refused(error)),
        }
    }

    /// The outcome of a hold that the team cannot cover.
    async fn too_large(&self, entry: &Entry, pool: &Pool, now: Time) -> Result<Outcome, Error> {
        let required = Credits::new(entry.held.unsigned_abs());
        let mut balance = pool.balance.credits;
        if !pool.lanes.is_zero() {
            let all = self.balance(&entry.team, now).await?.balance.credits;
            balance = if all < required { all } else { balance };
        }
        self.refused(entry, Error::InsufficientCredits { balance, required }).await
    }

    fn take(
        &self,
        pool: &Pool,
        hold: &Hold,
        entry: &Entry,
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut condition = "credits >= :hold AND epoch = :epoch AND terms.account = :active \
                             AND (attribute_not_exists(due_at) OR due_at > :now)"
            .to_owned();
        if !hold.without_enrichment {
            condition.push_str(" AND attribute_not_exists(paused_at)");
        }
        let pool = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&pool.team)))
            .update_expression("SET credits = credits - :hold, held = held + :hold")
            .condition_expression(condition)
            .expression_attribute_values(":hold", keys::number(hold.credits.get()))
            .expression_attribute_values(":epoch", keys::number(hold.epoch))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .build()
            .map_err(Error::internal)?;
        let marker = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(keys::marker(hold)))
            .build()
            .map_err(Error::internal)?;
        Ok(vec![
            update(pool),
            put(marker),
            put(self.put_new(hold, keys::hold(&hold.team, &hold.id))?),
            put(self.put_entry(entry)?),
        ])
    }

    /// Looks a hold up.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn look_at_hold(&self, team: &TeamId, id: &Id) -> Result<Hold, Error> {
        let item = self.get(keys::hold(team, id)).await?.ok_or(Error::NotFound("hold"))?;
        serde_dynamo::from_item(item).map_err(Error::internal)
    }

    /// The open holds of a team.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn holds(&self, pool: &Pool) -> Result<Vec<Hold>, Error> {
        if pool.held.is_zero() {
            return Ok(Vec::new());
        }
        let ids = self.open_holds(&pool.team, None).await?;
        let holds = stream::iter(ids).map(async |id| self.look_at_hold(&pool.team, &id).await);
        let holds: Vec<Hold> = holds.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(holds.into_iter().filter(|hold| hold.status == Status::Open).collect())
    }

    /// Gives back what is left of a hold. The hold after it, and whether that was so before.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::HoldClosed`], [`Error::KeyReused`]; [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn release(
        &self,
        team: &TeamId,
        id: &Id,
        by: &Release,
        now: Time,
    ) -> Result<(Hold, bool), Error> {
        self.release_with(team, id, by, now, &mut self.patience()).await
    }

    async fn release_with(
        &self,
        team: &TeamId,
        id: &Id,
        by: &Release,
        now: Time,
        patience: &mut Patience,
    ) -> Result<(Hold, bool), Error> {
        loop {
            let hold = self.look_at_hold(team, id).await?;
            let entry = release_entry(&hold, by, now);
            let status = match by {
                Release::ByOwner(..) if hold.status_at(now) != Status::Open => {
                    return self.released_before(hold, &entry).await;
                }
                Release::ByOwner(..) => Status::Released,
                Release::ByTime if hold.status != Status::Open => return Ok((hold, true)),
                Release::ByTime => Status::Expired,
            };
            let mut pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            if matches!(by, Release::ByOwner(..)) && pool.is_due(now) {
                // What was captured counts in the cycle in which the hold ends.
                pool = Box::pin(self.pool(team, now)).await?;
            }
            let writes = self.give_back(&pool, &hold, status, &entry, now)?;
            let legs = self.transact(writes, patience).await?;
            match legs.as_deref() {
                None => {
                    self.shortages.forget(team);
                    return Ok((Hold { remaining: Credits::ZERO, status, ..hold }, false));
                }
                // It was given back meanwhile, by this request or by time, unless the key means
                // something else.
                Some([.., Leg::Failed(Some(image))]) => {
                    is_answer(image.clone(), &entry)?;
                    patience.check()?;
                }
                // A capture or a grant came first.
                Some(_) => patience.pause().await?,
            }
        }
    }

    /// Whether a hold that is closed was closed by this very request.
    async fn released_before(&self, hold: Hold, asked: &Entry) -> Result<(Hold, bool), Error> {
        let image = self.get(keys::entry(asked)).await?.ok_or(Error::HoldClosed)?;
        is_answer(image, asked).map(|()| (hold, true))
    }

    fn give_back(
        &self,
        pool: &Pool,
        hold: &Hold,
        status: Status,
        entry: &Entry,
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut after = pool.clone();
        let lapsed = after.take_back(hold, now);
        let used = serde_dynamo::to_attribute_value(&hold.used).map_err(Error::internal)?;
        let close = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::hold(&hold.team, &hold.id)))
            .update_expression("SET #status = :status, remaining = :none")
            .condition_expression("#status = :open AND remaining = :rest AND used = :used")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", keys::text(status.as_str()))
            .expression_attribute_values(":none", keys::number(0))
            .expression_attribute_values(":open", keys::text(Status::Open.as_str()))
            .expression_attribute_values(":rest", keys::number(hold.remaining.get()))
            .expression_attribute_values(":used", used)
            .build()
            .map_err(Error::internal)?;
        let marker = Delete::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::marker_key(hold)))
            .build()
            .map_err(Error::internal)?;
        let pool = self.take_back(pool, &after, now)?;
        let mut writes = vec![update(close), update(pool), delete(marker)];
        if !lapsed.is_zero() {
            let lapsed = Entry {
                credits: lapsed.lost(),
                ..Entry::of_hold(&hold.team, Kind::Expiry, hold.id.clone(), entry.at)
            };
            writes.push(put(self.put_entry(&lapsed)?));
        }
        writes.push(put(self.put_entry(entry)?));
        Ok(writes)
    }

    /// The update of a pool by what `after` has taken back. It depends on the epoch and on what is
    /// owed, and on nothing that charges change.
    pub(super) fn take_back(&self, pool: &Pool, after: &Pool, now: Time) -> Result<Update, Error> {
        let mut set = "SET credits = credits + :back, mark = mark + :purchased, \
                       held = held - :held, lanes = lanes - :lanes, \
                       lane_moves = lane_moves + :moves, \
                       tally.expired = tally.expired + :expired"
            .to_owned();
        let mut condition = "epoch = :epoch".to_owned();
        let lanes = pool.lanes.above(after.lanes);
        let mut taker = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&pool.team)))
            .expression_attribute_values(":epoch", keys::number(pool.epoch))
            .expression_attribute_values(":moves", keys::number(u64::from(!lanes.is_zero())));
        for (name, more) in [
            (":back", after.balance.credits.above(pool.balance.credits)),
            (":purchased", after.balance.mark.above(pool.balance.mark)),
            (":held", pool.held.above(after.held)),
            (":lanes", lanes),
            (":expired", after.tally.expired.above(pool.tally.expired)),
        ] {
            taker = taker.expression_attribute_values(name, keys::number(more.get()));
        }
        for (number, (epoch, owed)) in pool.owed.iter().enumerate() {
            let part = owed.above(after.owed.get(epoch).copied().unwrap_or_default());
            if part.is_zero() {
                continue;
            }
            write!(set, ", owed.#of{number} = owed.#of{number} - :part{number}").ok();
            write!(condition, " AND owed.#of{number} = :owed{number}").ok();
            taker = taker
                .expression_attribute_names(format!("#of{number}"), epoch)
                .expression_attribute_values(format!(":part{number}"), keys::number(part.get()))
                .expression_attribute_values(format!(":owed{number}"), keys::number(owed.get()));
        }
        let used = after.used.since(&pool.used);
        taker = count(&used, &mut set, taker);
        taker = count_week(used.spent(), now, &mut set, taker);
        taker
            .update_expression(set)
            .condition_expression(condition)
            .build()
            .map_err(Error::internal)
    }

    /// Gives back all holds of a team whose time was over by some time. How many there were.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn expire(
        &self,
        team: &TeamId,
        by: Time,
        now: Time,
        patience: &mut Patience,
    ) -> Result<u64, Error> {
        let mut expired = 0_u64;
        for id in self.open_holds(team, Some(by)).await? {
            let by = Release::ByTime;
            let (_, was_before) = self.release_with(team, &id, &by, now, patience).await?;
            expired = expired.saturating_add(u64::from(!was_before));
        }
        Ok(expired)
    }

    /// The open holds of a team, or those that have expired by some time.
    async fn open_holds(&self, team: &TeamId, by: Option<Time>) -> Result<Vec<Id>, Error> {
        let last = keys::markers_until(by);
        let markers = self.range(keys::team(team), keys::MARKERS, &last).await?;
        Ok(markers.iter().filter_map(keys::hold_of_marker).collect())
    }
}

/// Whether an entry answers a release, however much there was to give back when it was asked for.
fn is_answer(image: Item, asked: &Entry) -> Result<(), Error> {
    let found: Entry = serde_dynamo::from_item(image).map_err(Error::internal)?;
    let asked = Entry { held: found.held, ..asked.clone() };
    if found.answers(&asked) { Ok(()) } else { Err(Error::KeyReused) }
}

fn release_entry(hold: &Hold, by: &Release, now: Time) -> Entry {
    let given_back = hold.remaining.lost();
    match by {
        Release::ByOwner(key, user) => Entry {
            held: given_back,
            hold: Some(hold.id.clone()),
            user: Some(user.clone()),
            reference: hold.reference.clone(),
            ..Entry::of_key(&hold.team, key.clone(), Kind::Release, now)
        },
        Release::ByTime => Entry {
            held: given_back,
            reference: hold.reference.clone(),
            ..Entry::of_hold(&hold.team, Kind::Release, hold.id.clone(), hold.expires_at)
        },
    }
}
