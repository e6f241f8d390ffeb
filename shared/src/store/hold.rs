//! Holds: taken from the pool, captured from without it, returned to it.
//!
//! The open holds of a team share a few partitions, so that they are read together. A hold that is
//! closed moves to a partition of its own.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::Store;
use super::count::{count, count_week};
use super::failure::{LegResult, unmet};
use super::keys::{self, HOLD_SHARDS, Item};
use super::outcome::Outcome;
use super::recall::Recall;
use super::requests::{delete, put, update};
use super::retry::RetryBudget;
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{CallerKey, Id, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Entry, Kind};
use crate::domain::limits::OPEN_HOLDS_MAX;
use crate::domain::pool::epochs::{GROUPS_MAX, Owed};
use crate::domain::pool::usage::Usage;
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most holds that are returned in one write: four legs for each and one for the pool.
const HOLDS_PER_WRITE_MAX: usize = 24;

/// A release by the hold's owner.
#[derive(Clone, Debug)]
pub struct Release {
    /// The request's idempotency key.
    pub key: CallerKey,
    /// The caller.
    pub user: UserId,
}

/// An open hold as the table stores it: what the key says is left out, and so is what follows.
#[derive(Serialize, Deserialize)]
struct OpenHold {
    sk: Id,
    credits: Credits,
    remaining: Credits,
    epoch: u64,
    reset_epoch: u64,
    due_at: Time,
    #[serde(default)]
    used: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
}

/// An open hold and its item.
#[derive(Clone, Debug)]
pub(super) struct StoredHold {
    pub(super) hold: Hold,
    item: Item,
}

impl StoredHold {
    pub(super) fn read(team: &TeamId, item: Item) -> Result<Self, Error> {
        let stored: OpenHold = serde_dynamo::from_item(item.clone()).map_err(Error::internal)?;
        let OpenHold { sk, credits, remaining, epoch, reset_epoch, due_at, used, .. } = stored;
        let hold = Hold {
            id: sk,
            team: team.clone(),
            credits,
            remaining,
            captured: credits.excess_over(remaining),
            status: Status::Open,
            epoch,
            reset_epoch,
            expires_at: due_at,
            used,
            pause: stored.pause,
            reference: stored.reference,
        };
        Ok(Self { hold, item })
    }

    /// The item of a hold that is taken now.
    fn new_item(hold: &Hold) -> Result<Item, Error> {
        let stored = OpenHold {
            sk: hold.id.clone(),
            credits: hold.credits,
            remaining: hold.remaining,
            epoch: hold.epoch,
            reset_epoch: hold.reset_epoch,
            due_at: hold.expires_at,
            used: hold.used.clone(),
            pause: hold.pause,
            reference: hold.reference.clone(),
        };
        let mut item: Item = serde_dynamo::to_item(stored).map_err(Error::internal)?;
        item.extend(keys::open_hold(&hold.team, &hold.id));
        item.extend([keys::hold_due(&hold.team)]);
        Ok(item)
    }

    /// The item of the hold after it was closed. Attributes of a newer version stay.
    fn closed_item(&self, status: Status) -> Result<Item, Error> {
        let mut item = self.item.clone();
        for open_only in ["due", "due_at"] {
            item.remove(open_only);
        }
        let closed: Item =
            serde_dynamo::to_item(self.hold.closed(status)).map_err(Error::internal)?;
        item.extend(closed);
        item.extend(keys::closed_hold(&self.hold.team, &self.hold.id));
        Ok(item)
    }
}

/// A hold that is closed, and the entries of that.
struct Closing<'a> {
    stored: &'a StoredHold,
    status: Status,
    entries: Vec<Entry>,
}

impl Store {
    /// Reserves credits. The outcome's entry is that of the hold.
    ///
    /// Its refusals are those of [`Store::charge`], and [`Error::TooManyHolds`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn hold(&self, entry: Entry, now: Time) -> Result<Outcome, Error> {
        let team = entry.team.clone();
        let mut recall = Recall::default();
        let outcome = Box::pin(self.hold_in_recall(entry, now, &mut recall)).await;
        self.end_recall(&team, recall).await;
        outcome
    }

    async fn hold_in_recall(
        &self,
        entry: Entry,
        now: Time,
        recall: &mut Recall,
    ) -> Result<Outcome, Error> {
        let team = entry.team.clone();
        let mut budget = self.retry_budget();
        loop {
            let pool = match self.pool_within(&team, now, &mut budget, recall).await {
                Ok(pool) => pool,
                Err(error @ Error::NotFound(_)) => return Ok(Outcome::Refused(error)),
                Err(error) => return Err(error),
            };
            if let Err(error) = pool.check_open() {
                return self.refused(&entry, error).await;
            }
            let hold = Hold::of(&entry, pool.origin());
            let hold = hold.ok_or_else(|| Error::internal("this entry is of no hold"))?;
            if pool.open_holds >= OPEN_HOLDS_MAX {
                if Box::pin(self.expire_some(&pool, Credits::ZERO, now, &mut budget)).await? {
                    continue;
                }
                return self.refused(&entry, Error::TooManyHolds).await;
            }
            if pool.owed.groups() >= GROUPS_MAX && pool.hold_epoch != pool.epoch {
                let joined = self.join_groups(&pool).await?;
                if joined.is_some_and(|owed| owed.groups() >= GROUPS_MAX) {
                    return self.refused(&entry, Error::TooManyHolds).await;
                }
                budget.check_left()?;
                continue;
            }
            let (balance, required) = (pool.balance.credits, hold.credits);
            if balance < required {
                let balance = self.view(&team, now).await?.pool.balance.credits;
                if balance < required {
                    let error = Error::InsufficientCredits { balance, required };
                    return self.refused(&entry, error).await;
                }
                let missing = required.excess_over(pool.balance.credits);
                if pool.lanes.is_zero() {
                    if Box::pin(self.expire_some(&pool, missing, now, &mut budget)).await? {
                        budget.check_left()?;
                        continue;
                    }
                } else if self.recall_lanes(&pool, now, recall, &budget).await? {
                    budget = budget.with_short_pauses();
                }
                budget.back_off().await?;
                continue;
            }
            let writes = self.take(&hold, &entry, now)?;
            let legs = self.transact(writes, &mut budget).await?;
            match legs.as_deref() {
                None => {
                    self.refusals.remove(&team);
                    return Ok(Outcome::Charged(entry));
                }
                Some([.., LegResult::Failed(Some(image))]) => {
                    return Outcome::earlier(image.clone(), &entry);
                }
                Some(_) => budget.check_left()?,
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

    fn take(&self, hold: &Hold, entry: &Entry, now: Time) -> Result<Vec<TransactWriteItem>, Error> {
        let set = "SET credits = credits - :hold, held = held + :hold, \
                   open_holds = open_holds + :one, hold_epoch = :epoch";
        let pool = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&hold.team)))
            .update_expression(set)
            .condition_expression(
                "credits >= :hold AND epoch = :epoch AND terms.account = :active \
                 AND open_holds < :most AND (attribute_not_exists(due_at) OR due_at > :now)",
            )
            .expression_attribute_values(":hold", keys::number(hold.credits.get()))
            .expression_attribute_values(":one", keys::number(1))
            .expression_attribute_values(":most", keys::number(OPEN_HOLDS_MAX))
            .expression_attribute_values(":epoch", keys::number(hold.epoch))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .build()
            .map_err(Error::internal)?;
        let hold = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(StoredHold::new_item(hold)?))
            .build()
            .map_err(Error::internal)?;
        Ok(vec![update(pool), put(hold), put(self.put_entry(entry)?)])
    }

    /// A hold, open or closed.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn look_at_hold(&self, team: &TeamId, id: &Id) -> Result<Hold, Error> {
        if let Some(open) = self.open_hold(team, id).await? {
            return Ok(open.hold);
        }
        let item = self.get(keys::closed_hold(team, id)).await?.ok_or(Error::NotFound("hold"))?;
        serde_dynamo::from_item(item).map_err(Error::internal)
    }

    /// The entry of a hold's taking, which tells who took it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn taking_of(&self, team: &TeamId, hold: &Id) -> Result<Entry, Error> {
        let item = self.get(keys::entry_of(team, &hold.with_prefix("e"))).await?;
        let entry: Option<Entry> =
            item.map(serde_dynamo::from_item).transpose().map_err(Error::internal)?;
        let entry = entry.filter(|entry| entry.kind == Kind::Hold);
        let entry = entry.filter(|entry| entry.hold.as_ref() == Some(hold));
        entry.ok_or(Error::NotFound("hold"))
    }

    async fn open_hold(&self, team: &TeamId, id: &Id) -> Result<Option<StoredHold>, Error> {
        let item = self.get(keys::open_hold(team, id)).await?;
        item.map(|item| StoredHold::read(team, item)).transpose()
    }

    /// The open holds of a team, expired or not; none is read if its pool has none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn holds_of(&self, pool: &Pool) -> Result<Vec<Hold>, Error> {
        let stored = self.stored_holds(pool).await?;
        Ok(stored.into_iter().map(|stored| stored.hold).collect())
    }

    async fn stored_holds(&self, pool: &Pool) -> Result<Vec<StoredHold>, Error> {
        if pool.open_holds == 0 {
            return Ok(Vec::new());
        }
        // What an id can be made of sorts between these.
        let shards =
            (0..HOLD_SHARDS).map(|shard| self.range(keys::holds(&pool.team, shard), "-", "~"));
        let items = try_join_all(shards).await?.into_iter().flatten();
        items.map(|item| StoredHold::read(&pool.team, item)).collect()
    }

    /// The open holds of a team that expired by a time, the first to expire first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn expired_holds(
        &self,
        pool: &Pool,
        by: Time,
    ) -> Result<Vec<StoredHold>, Error> {
        let mut holds = self.stored_holds(pool).await?;
        holds.retain(|stored| stored.hold.expires_at <= by);
        holds.sort_by_key(|stored| stored.hold.expires_at);
        Ok(holds)
    }

    /// Returns expired holds if together they bring at least so many credits, the fewest that do.
    /// Whether there were any; the pool is to be read again then.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn expire_some(
        &self,
        pool: &Pool,
        missing: Credits,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Result<bool, Error> {
        let mut expired = self.expired_holds(pool, now).await?;
        expired.sort_by_key(|stored| std::cmp::Reverse(stored.hold.remaining));
        let mut sum = Credits::ZERO;
        let enough = expired.iter().position(|stored| {
            sum = sum.checked_add(stored.hold.remaining).unwrap_or(Credits::MAX);
            sum >= missing
        });
        let Some(last) = enough else { return Ok(false) };
        expired.truncate(last.saturating_add(1));
        let mut pool = pool.clone();
        for part in expired.chunks(HOLDS_PER_WRITE_MAX) {
            if self.return_expired(&pool, part.to_vec(), now, budget).await? == 0 {
                break;
            }
            for stored in part {
                pool.take_back(&stored.hold, now);
            }
        }
        Ok(true)
    }

    /// Returns the first of these expired holds, as many as one write takes. The number returned; 0 if
    /// another process came first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn return_expired(
        &self,
        pool: &Pool,
        mut expired: Vec<StoredHold>,
        now: Time,
        budget: &mut RetryBudget,
    ) -> Result<u64, Error> {
        expired.truncate(HOLDS_PER_WRITE_MAX);
        let closings = expired.iter().map(|stored| Closing {
            stored,
            status: Status::Expired,
            entries: stored.hold.expiry(Credits::ZERO).collect(),
        });
        let writes = self.close(pool, closings.collect(), now)?;
        if self.transact(writes, budget).await?.is_some() {
            budget.back_off().await?;
            return Ok(0);
        }
        self.refusals.remove(&pool.team);
        Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
    }

    /// Returns what is left of a hold, for its owner. The hold after it, and whether the same request
    /// did so before.
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
        let mut budget = self.retry_budget();
        loop {
            let Some(stored) = self.open_hold(team, id).await? else {
                let hold = self.look_at_hold(team, id).await?;
                let entry = release_entry(&hold, by, now);
                return self.released_before(hold, &entry).await;
            };
            let entry = release_entry(&stored.hold, by, now);
            if stored.hold.status_at(now) != Status::Open {
                return self.released_before(stored.hold, &entry).await;
            }
            // What was captured counts in the cycle in which the hold ends.
            let pool = self.pool(team, now).await?;
            let closing =
                Closing { stored: &stored, status: Status::Released, entries: vec![entry.clone()] };
            let writes = self.close(&pool, vec![closing], now)?;
            let legs = self.transact(writes, &mut budget).await?;
            match legs.as_deref() {
                None => {
                    self.refusals.remove(team);
                    return Ok((stored.hold.closed(Status::Released), false));
                }
                // It was released meanwhile, by this request or by time, unless the key means
                // something else.
                Some([.., LegResult::Failed(Some(image))]) => {
                    is_answer(image.clone(), &entry)?;
                    budget.check_left()?;
                }
                // A capture or a grant came first.
                Some(_) => budget.back_off().await?,
            }
        }
    }

    /// Whether a hold that is closed was closed by this very request.
    async fn released_before(&self, hold: Hold, asked: &Entry) -> Result<(Hold, bool), Error> {
        let closed = Error::HoldClosed(hold.status_at(asked.at).as_str());
        let image = self.get(keys::entry(asked)).await?.ok_or(closed)?;
        is_answer(image, asked).map(|()| (hold, true))
    }

    /// The writes that close holds and return what is left of them. Their last leg is the last entry.
    fn close(
        &self,
        pool: &Pool,
        closings: Vec<Closing<'_>>,
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut after = pool.clone();
        let mut writes = Vec::new();
        for Closing { stored, status, entries } in closings {
            let hold = &stored.hold;
            let lapsed = after.take_back(hold, now);
            let used = serde_dynamo::to_attribute_value(&hold.used).map_err(Error::internal)?;
            let open = Delete::builder()
                .table_name(&*self.table)
                .set_key(Some(keys::open_hold(&hold.team, &hold.id)))
                .condition_expression("remaining = :rest AND used = :used")
                .expression_attribute_values(":rest", keys::number(hold.remaining.get()))
                .expression_attribute_values(":used", used)
                .build()
                .map_err(Error::internal)?;
            let closed = Put::builder()
                .table_name(&*self.table)
                .set_item(Some(stored.closed_item(status)?))
                .build()
                .map_err(Error::internal)?;
            writes.extend([delete(open), put(closed)]);
            let at = entries.first().map_or(now, |entry| entry.at);
            for entry in hold.lapse(lapsed, at).into_iter().chain(entries) {
                writes.push(put(self.put_entry(&entry)?));
            }
        }
        writes.insert(0, update(self.take_back(pool, &after, now)?));
        Ok(writes)
    }

    /// The update of a pool by what `after` has taken back. It depends on the epoch and on what is
    /// owed, and on nothing that charges change.
    pub(super) fn take_back(&self, pool: &Pool, after: &Pool, now: Time) -> Result<Update, Error> {
        let mut set = "SET credits = credits + :back, mark = mark + :purchased, \
                       held = held - :held, open_holds = open_holds - :holds, \
                       lanes = lanes - :lanes, lane_moves = lane_moves + :moves, \
                       tally.expired = tally.expired + :expired"
            .to_owned();
        let mut condition = "epoch = :epoch".to_owned();
        let lanes = pool.lanes.excess_over(after.lanes);
        let mut taker = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&pool.team)))
            .expression_attribute_values(":epoch", keys::number(pool.epoch))
            .expression_attribute_values(
                ":holds",
                keys::number(pool.open_holds.saturating_sub(after.open_holds)),
            )
            .expression_attribute_values(":moves", keys::number(u64::from(!lanes.is_zero())));
        for (name, more) in [
            (":back", after.balance.credits.excess_over(pool.balance.credits)),
            (":purchased", after.balance.mark.excess_over(pool.balance.mark)),
            (":held", pool.held.excess_over(after.held)),
            (":lanes", lanes),
            (":expired", after.tally.expired.excess_over(pool.tally.expired)),
        ] {
            taker = taker.expression_attribute_values(name, keys::number(more.get()));
        }
        if after.owed != pool.owed {
            set.push_str(", owed = :owed");
            condition.push_str(" AND owed = :owed_before");
            for (name, owed) in [(":owed", &after.owed), (":owed_before", &pool.owed)] {
                let owed = serde_dynamo::to_attribute_value(owed).map_err(Error::internal)?;
                taker = taker.expression_attribute_values(name, owed);
            }
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

    /// Joins groups of what is owed that no open hold tells apart. Returns the groups after it; `None`
    /// if another write has changed them meanwhile.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn join_groups(&self, pool: &Pool) -> Result<Option<Owed>, Error> {
        let owed = pool.owed.compacted(&self.holds_of(pool).await?);
        let mut is_joined = true;
        if owed != pool.owed {
            let map = |owed: &Owed| serde_dynamo::to_attribute_value(owed).map_err(Error::internal);
            let join = self
                .client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(keys::pool(&pool.team)))
                .update_expression("SET owed = :owed")
                .condition_expression("owed = :before")
                .expression_attribute_values(":owed", map(&owed)?)
                .expression_attribute_values(":before", map(&pool.owed)?);
            let joining = self.retry(|| async {
                match join.clone().send().await {
                    Ok(_) => Ok(true),
                    Err(error) => unmet(error).map(|_| false),
                }
            });
            is_joined = joining.await?;
        }
        Ok(is_joined.then_some(owed))
    }
}

/// Whether an entry answers a release, however much there was to return when it was asked for.
fn is_answer(image: Item, asked: &Entry) -> Result<(), Error> {
    let found: Entry = serde_dynamo::from_item(image).map_err(Error::internal)?;
    let asked = Entry { held: found.held, ..asked.clone() };
    if found.answers(&asked) { Ok(()) } else { Err(Error::KeyReused) }
}

fn release_entry(hold: &Hold, Release { key, user }: &Release, now: Time) -> Entry {
    Entry {
        held: hold.remaining.lost(),
        hold: Some(hold.id.clone()),
        user: Some(user.clone()),
        reference: hold.reference.clone(),
        names_no_user: true,
        ..Entry::of_key(&hold.team, key.clone(), Kind::Release, now)
    }
}
