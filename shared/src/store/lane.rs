//! Lanes: while the pool pushes back, a process takes a block of its credits along with a charge and
//! pays the next charges from that, where nobody is in its way.
//!
//! A lane is the hold primitive again: a crashed owner's lane expires, and what is left of it goes back
//! to the pool. Three rules keep it exact. It is small against the balance and lives for seconds, see
//! [`crate::domain::lane`]. All lanes are returned before a refusal, a grant, a reset and the closing
//! of an account; the pool is marked before, so that none is opened meanwhile. And to the team the
//! credits in lanes are part of the balance, see [`Store::view`].
//!
//! The cached lane is a hint; the write condition decides.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::failure::unmet;
use super::keys::Item;
use super::recall::MARK_SECONDS;
use super::requests::{delete, put, retry_within, update};
use super::retry::RetryBudget;
use super::{Store, keys};
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, TeamId};
use crate::domain::lane::{LANE_SECONDS, Recent, expires_at, size, size_again};
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most teams that are remembered.
const CACHED_TEAMS_MAX: usize = 10_000;

/// How many lanes are read, or closed, at a time.
const CONCURRENT_READS_MAX: usize = 128;

/// The most lanes that are returned or opened again in one write, two legs for each and one for the pool.
const LANES_PER_WRITE_MAX: usize = 49;

/// How many milliseconds a lane lasts that is opened again.
const REOPENED_LANE_MS: RangeInclusive<u32> = 2_000..=5_000;

/// The lanes of a process, one for each team at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<TeamId, Own>>>);

/// The lane of this process.
#[derive(Clone, Debug)]
struct Own {
    id: Id,
    expires_at: Time,
    left: Credits,
    spent: Credits,
    since: Instant,
    /// Whether another process has closed it.
    is_closed: bool,
}

/// A lane that is to be taken, or to be prolonged, along with a charge.
#[derive(Clone, Debug)]
pub(super) struct Block {
    id: Id,
    pub(super) credits: Credits,
    pub(super) epoch: u64,
    reset_epoch: u64,
    pub(super) opened_at: Time,
    expires_at: Time,
}

impl Lanes {
    /// The lane that should cover a cost.
    pub(super) fn for_cost(&self, team: &TeamId, cost: Credits, now: Time) -> Option<Id> {
        self.with(|lanes| {
            let lane = lanes.get(team)?;
            let pays = !lane.is_closed && lane.expires_at > now && lane.left >= cost;
            pays.then(|| lane.id.clone())
        })
    }

    /// Whether the process had a lane just now, so that it will need one again.
    pub(super) fn had_one(&self, team: &TeamId) -> bool {
        let lately = Duration::from_secs(LANE_SECONDS.into()).saturating_mul(2);
        self.with(|lanes| lanes.get(team).is_some_and(|lane| lane.since.elapsed() < lately))
    }

    /// The lane to open or extend along with charges of that cost, if one should be.
    pub(super) fn plan(&self, pool: &Pool, cost: Credits, now: Time) -> Option<Block> {
        if pool.is_paused() || pool.is_changing(now) {
            return None;
        }
        let own = self.with(|lanes| lanes.get(&pool.team).cloned());
        let recent = own.as_ref().map(|own| Recent { spent: own.spent, time: own.since.elapsed() });
        let id = own.map_or_else(|| new_id(&pool.team), |own| own.id);
        let credits = size(pool.balance.credits, cost, recent)?;
        let (epoch, reset_epoch) = (pool.epoch, pool.terms.reset_epoch);
        Some(Block {
            id,
            credits,
            epoch,
            reset_epoch,
            opened_at: now,
            expires_at: expires_at(pool, now),
        })
    }

    /// A lane was opened or extended.
    pub(super) fn taken(&self, team: &TeamId, block: &Block) {
        let Block { id, credits, expires_at, .. } = block.clone();
        self.with(|lanes| {
            let before = lanes.get(team).filter(|before| before.id == id);
            let left = before.map_or(Credits::ZERO, |before| before.left);
            let left = left.checked_add(credits).unwrap_or(Credits::MAX);
            let (spent, since) = (Credits::ZERO, Instant::now());
            if lanes.len() >= CACHED_TEAMS_MAX {
                lanes.clear();
            }
            let own = Own { id, expires_at, left, spent, since, is_closed: false };
            lanes.insert(team.clone(), own);
        });
    }

    /// The lane has paid.
    pub(super) fn spent(&self, team: &TeamId, cost: Credits) {
        self.with(|lanes| {
            if let Some(lane) = lanes.get_mut(team) {
                lane.left = lane.left.excess_over(cost);
                lane.spent = lane.spent.checked_add(cost).unwrap_or(Credits::MAX);
            }
        });
    }

    /// Stores what is left in the lane: another charge than this one may still be covered.
    pub(super) fn has_left(&self, team: &TeamId, remaining: Credits) {
        self.with(|lanes| {
            if let Some(lane) = lanes.get_mut(team) {
                lane.left = remaining;
            }
        });
    }

    /// Another process has closed the lane.
    pub(super) fn closed(&self, team: &TeamId) {
        self.with(|lanes| {
            if let Some(lane) = lanes.get_mut(team) {
                (lane.left, lane.is_closed) = (Credits::ZERO, true);
            }
        });
    }

    /// The lane that was closed by another process or has expired.
    fn past(&self, team: &TeamId, now: Time) -> Option<Id> {
        let is_past = |own: &&Own| own.is_closed || own.expires_at <= now;
        self.with(|lanes| lanes.get(team).filter(is_past).map(|own| own.id.clone()))
    }

    /// The past lane is open again, or the next one has another id.
    fn replace(&self, team: &TeamId, lane: Option<Hold>) {
        self.with(|lanes| {
            if let Some(own) = lanes.get_mut(team) {
                own.is_closed = false;
                if let Some(lane) = lane {
                    (own.left, own.expires_at) = (lane.remaining, lane.expires_at);
                } else {
                    (own.id, own.left) = (new_id(team), Credits::ZERO);
                }
            }
        });
    }

    /// The lane is of another epoch and cannot be extended.
    pub(super) fn forget(&self, team: &TeamId) {
        self.with(|lanes| lanes.remove(team));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TeamId, Own>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn new_id(team: &TeamId) -> Id {
    Id::of("l", team, &format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)))
}

/// The blocks for lanes that are opened again, each a small part of the balance that is left. They
/// expire at different times, so that their owners do not extend them all at once.
fn blocks_again(pool: &Pool, lanes: &[Hold], now: Time) -> Vec<Block> {
    if pool.is_paused() || pool.is_due(now) || pool.check_open().is_err() {
        return Vec::new();
    }
    let mut balance = pool.balance.credits;
    let block = |lane: &Hold| {
        if lane.expires_at.plus_seconds(MARK_SECONDS) <= now {
            return None;
        }
        let credits = size_again(balance, lane.remaining)?;
        let end = now.plus_milliseconds(fastrand::u32(REOPENED_LANE_MS));
        let expires_at = end.min(expires_at(pool, now));
        balance = balance.excess_over(credits);
        let (epoch, reset_epoch) = (pool.epoch, pool.terms.reset_epoch);
        Some(Block { id: lane.id.clone(), credits, epoch, reset_epoch, opened_at: now, expires_at })
    };
    lanes.iter().filter_map(block).collect()
}

impl Store {
    /// What takes or prolongs a lane in the write that takes its credits from the pool.
    pub(super) fn open_lane(
        &self,
        team: &TeamId,
        block: &Block,
    ) -> Result<[TransactWriteItem; 2], Error> {
        let lane = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::lane(team, &block.id)))
            .update_expression(
                "SET credits = if_not_exists(credits, :none) + :block, \
                 remaining = if_not_exists(remaining, :none) + :block, \
                 captured = if_not_exists(captured, :none), used = if_not_exists(used, :unused), \
                 id = :id, team = :team, #status = :open, expires_at = :expires, \
                 epoch = :epoch, reset_epoch = :reset",
            )
            .condition_expression(
                "attribute_not_exists(pk) OR (#status = :open AND epoch = :epoch)",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":block", keys::number(block.credits.get()))
            .expression_attribute_values(":none", keys::number(0))
            .expression_attribute_values(":unused", AttributeValue::M(HashMap::new()))
            .expression_attribute_values(":id", keys::text(block.id.as_str()))
            .expression_attribute_values(":team", keys::text(team.as_str()))
            .expression_attribute_values(":open", keys::text(Status::Open.as_str()))
            .expression_attribute_values(":expires", keys::text(block.expires_at.to_string()))
            .expression_attribute_values(":epoch", keys::number(block.epoch))
            .expression_attribute_values(":reset", keys::number(block.reset_epoch))
            .build()
            .map_err(Error::internal)?;
        let marker = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(keys::lane_marker(team, &block.id, block.expires_at)))
            .build()
            .map_err(Error::internal)?;
        Ok([update(lane), put(marker)])
    }

    /// The open lanes of a team; none is read if its pool has none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_of(&self, pool: &Pool) -> Result<Vec<Hold>, Error> {
        if pool.lanes.is_zero() {
            return Ok(Vec::new());
        }
        let team = &pool.team;
        let ids = self.open_lanes(team, None).await?;
        let lanes = stream::iter(ids).map(async |id| self.get(keys::lane(team, &id)).await);
        let found: Vec<Option<Item>> =
            lanes.buffer_unordered(CONCURRENT_READS_MAX).try_collect().await?;
        let lanes = found.into_iter().flatten().map(serde_dynamo::from_item);
        lanes.collect::<Result<_, _>>().map_err(Error::internal)
    }

    async fn open_lanes(&self, team: &TeamId, by: Option<Time>) -> Result<Vec<Id>, Error> {
        // All of the partition: what an id can be made of sorts between these.
        let markers = self.range(keys::lanes(team), "-", "~").await?;
        let is_over =
            |marker: &&Item| by.is_none_or(|by| keys::due_at(marker).is_some_and(|at| at <= by));
        Ok(markers.iter().filter(is_over).filter_map(keys::lane_of_marker).collect())
    }

    /// Returns all lanes of a team to its pool, and the lanes as they were then. A process that needs
    /// them all marks the pool before, see [`Store::begin_recall`], and reads it again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn return_lanes(
        &self,
        team: &TeamId,
        now: Time,
        budget: &RetryBudget,
    ) -> Result<Vec<Hold>, Error> {
        self.lanes.closed(team);
        self.return_lanes_by(team, None, now, budget).await
    }

    /// Returns the lanes of a team whose time is over.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn return_expired_lanes(&self, team: &TeamId, now: Time) -> Result<(), Error> {
        self.return_lanes_by(team, Some(now), now, &self.retry_budget()).await.map(drop)
    }

    async fn return_lanes_by(
        &self,
        team: &TeamId,
        by: Option<Time>,
        now: Time,
        budget: &RetryBudget,
    ) -> Result<Vec<Hold>, Error> {
        let ids = self.open_lanes(team, by).await?;
        // Owners charge from their lanes all the time. So each is closed first, whatever is in it.
        let closed = stream::iter(ids).map(async |id| self.close_lane(team, &id, by, budget).await);
        let closed: Vec<Option<Hold>> =
            closed.buffer_unordered(CONCURRENT_READS_MAX).try_collect().await?;
        let closed: Vec<Hold> = closed.into_iter().flatten().collect();
        let mut budget = budget.clone().with_short_pauses();
        for lanes in closed.chunks(LANES_PER_WRITE_MAX) {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let writes = self.give_lanes_back(&pool, lanes, now)?;
            // If it is cancelled, another process has returned some of them.
            self.transact(writes, &mut budget).await?;
        }
        Ok(closed)
    }

    /// Opens lanes again that were returned, many in a write, so that their owners need no write of
    /// the pool each.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn reopen_lanes(
        &self,
        team: &TeamId,
        lanes: BTreeMap<Id, Hold>,
        now: Time,
        mut budget: RetryBudget,
    ) -> Result<(), Error> {
        let lanes: Vec<Hold> = lanes.into_values().collect();
        for lanes in lanes.chunks(LANES_PER_WRITE_MAX) {
            loop {
                let Some(pool) = self.read_pool(team).await? else { return Ok(()) };
                let blocks = blocks_again(&pool, lanes, now);
                if blocks.is_empty() {
                    break;
                }
                let writes = self.open_again(&pool, &blocks, now)?;
                if self.transact(writes, &mut budget).await?.is_none() {
                    break;
                }
                budget.back_off().await?;
            }
        }
        Ok(())
    }

    fn open_again(
        &self,
        pool: &Pool,
        blocks: &[Block],
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let credits: u64 = blocks.iter().map(|block| block.credits.get()).sum();
        let take = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&pool.team)))
            .update_expression(
                "SET credits = credits - :lanes, lanes = lanes + :lanes, \
                 lane_moves = lane_moves + :one",
            )
            .condition_expression(
                "credits >= :lanes AND epoch = :epoch AND terms.account = :active \
                 AND (attribute_not_exists(due_at) OR due_at > :now) \
                 AND attribute_not_exists(paused_at)",
            )
            .expression_attribute_values(":lanes", keys::number(credits))
            .expression_attribute_values(":one", keys::number(1))
            .expression_attribute_values(":epoch", keys::number(pool.epoch))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .build()
            .map_err(Error::internal)?;
        let mut writes = vec![update(take)];
        for block in blocks {
            writes.extend(self.open_lane(&pool.team, block)?);
        }
        Ok(writes)
    }

    /// Looks whether the past lane of this process is open again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn look_for_own_lane(&self, team: &TeamId, now: Time) -> Result<(), Error> {
        let Some(id) = self.lanes.past(team, now) else { return Ok(()) };
        let lane = self.get(keys::lane(team, &id)).await?.map(serde_dynamo::from_item);
        let lane: Option<Hold> = lane.transpose().map_err(Error::internal)?;
        self.lanes.replace(team, lane.filter(|lane| lane.status == Status::Open));
        Ok(())
    }

    /// Closes a lane to its owner. `None` if it is gone, or was extended.
    async fn close_lane(
        &self,
        team: &TeamId,
        id: &Id,
        by: Option<Time>,
        budget: &RetryBudget,
    ) -> Result<Option<Hold>, Error> {
        // '~' sorts above all times.
        let by = by.map_or("~".to_owned(), |by| by.to_string());
        let close = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::lane(team, id)))
            .update_expression("SET #status = :released")
            .condition_expression("#status = :open AND expires_at <= :by")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":released", keys::text(Status::Released.as_str()))
            .expression_attribute_values(":open", keys::text(Status::Open.as_str()))
            .expression_attribute_values(":by", keys::text(by))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut budget = budget.clone().with_short_pauses();
        let image = retry_within(&mut budget, || async {
            let answer = close.clone().send().await;
            answer.map_or_else(unmet, |closed| Ok(closed.attributes))
        });
        let lane: Option<Hold> =
            image.await?.map(serde_dynamo::from_item).transpose().map_err(Error::internal)?;
        Ok(lane.filter(|lane| lane.status == Status::Released))
    }

    fn give_lanes_back(
        &self,
        pool: &Pool,
        lanes: &[Hold],
        now: Time,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let mut after = pool.clone();
        let mut writes = Vec::new();
        for lane in lanes {
            after.take_back_lane(lane, now);
            let gone = Delete::builder()
                .table_name(&*self.table)
                .set_key(Some(keys::lane(&lane.team, &lane.id)))
                .condition_expression(
                    "#status = :released AND credits = :credits AND remaining = :rest \
                     AND epoch = :epoch",
                )
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":released", keys::text(Status::Released.as_str()))
                .expression_attribute_values(":credits", keys::number(lane.credits.get()))
                .expression_attribute_values(":rest", keys::number(lane.remaining.get()))
                .expression_attribute_values(":epoch", keys::number(lane.epoch))
                .build()
                .map_err(Error::internal)?;
            let marker = Delete::builder()
                .table_name(&*self.table)
                .set_key(Some(keys::lane_marker_key(&lane.team, &lane.id)))
                .build()
                .map_err(Error::internal)?;
            writes.extend([delete(gone), delete(marker)]);
        }
        writes.push(update(self.take_back(pool, &after, now)?));
        Ok(writes)
    }
}
