//! Lanes: while the pool pushes back, a process takes a block of its credits along with a charge and
//! pays the next charges from that, where nobody is in its way.
//!
//! A lane is the hold primitive again: a crashed owner's lane expires, and whatever is left of it
//! goes back to the pool. Three rules keep it honest. It is small against the balance and lives for
//! seconds, see [`crate::domain::lane`]. Nobody is refused, nothing is reset and no account is closed
//! while a lane is open: all of them are called back first. And to the team its credits are part of
//! the balance, see [`Store::balance`].
//!
//! What a process remembers of its lane is only a guess at where the next charge will go through;
//! the conditions of the write know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, sleep};

use super::access::{delete, put, update};
use super::failure::unmet;
use super::keys::Item;
use super::{Store, keys};
use crate::domain::hold::{Hold, Status};
use crate::domain::ids::{Id, TeamId};
use crate::domain::lane::{LIFE, Recent, expires_at, size};
use crate::domain::pool::Pool;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// How long a process takes no lane after one of its own was called back: somebody needs the
/// credits in the pool.
const QUIET: Duration = Duration::from_millis(200);

/// The most teams that are remembered.
const MOST: usize = 10_000;

/// How many lanes are read, or closed, at a time.
const AT_ONCE: usize = 64;

/// Who calls back waits at random for up to so long for each lane there is, because others may be at
/// it as well.
const FOR_EACH_LANE: Duration = Duration::from_millis(2);

/// The most lanes that go back in one write, two legs for each and one for the pool.
const BACK_AT_ONCE: usize = 49;

/// The lanes of a process, one for each team at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<TeamId, Own>>>);

#[derive(Clone, Debug)]
enum Own {
    Lane { id: Id, expires_at: Time, left: Credits, spent: Credits, since: Instant },
    CalledBack { at: Instant },
}

/// Lanes to call back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Whatever there are.
    All,
    /// Those whose time is over.
    Expired,
}

/// A lane that is to be taken, or to be prolonged, along with a charge.
#[derive(Clone, Debug)]
pub(super) struct Block {
    id: Id,
    pub(super) credits: Credits,
    pub(super) epoch: u64,
    reset_epoch: u64,
    expires_at: Time,
}

impl Lanes {
    /// The lane that should cover a cost.
    pub(super) fn for_cost(&self, team: &TeamId, cost: Credits, now: Time) -> Option<Id> {
        self.with(|lanes| match lanes.get(team)? {
            Own::Lane { id, expires_at, left, .. } if *expires_at > now && *left >= cost => {
                Some(id.clone())
            }
            Own::Lane { .. } | Own::CalledBack { .. } => None,
        })
    }

    /// Whether the process had a lane just now, so that it will need one again.
    pub(super) fn had_one(&self, team: &TeamId) -> bool {
        let lately = Duration::from_secs(LIFE.into()).saturating_mul(2);
        self.with(|lanes| match lanes.get(team) {
            Some(Own::Lane { since, .. }) => since.elapsed() < lately,
            Some(Own::CalledBack { .. }) | None => false,
        })
    }

    /// The lane to take along with charges of that cost, if one should be taken.
    pub(super) fn plan(&self, pool: &Pool, cost: Credits, now: Time) -> Option<Block> {
        if pool.is_paused() {
            return None;
        }
        let (id, recent) = self.with(|lanes| match lanes.get(&pool.team) {
            Some(Own::Lane { id, spent, since, .. }) => {
                let time = since.elapsed();
                Some((id.clone(), Some(Recent { spent: *spent, time })))
            }
            Some(Own::CalledBack { at }) if at.elapsed() < QUIET => None,
            Some(Own::CalledBack { .. }) | None => {
                let random = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
                Some((Id::of("l", &pool.team, &random), None))
            }
        })?;
        let credits = size(pool.balance.credits, cost, recent)?;
        let (epoch, reset_epoch) = (pool.epoch, pool.terms.reset_epoch);
        Some(Block { id, credits, epoch, reset_epoch, expires_at: expires_at(pool, now) })
    }

    /// A lane was taken, or prolonged.
    pub(super) fn taken(&self, team: &TeamId, block: &Block) {
        let Block { id, credits, expires_at, .. } = block.clone();
        self.with(|lanes| {
            let left = match lanes.get(team) {
                Some(Own::Lane { id: before, left, .. }) if *before == id => *left,
                Some(_) | None => Credits::ZERO,
            };
            let left = left.plus(credits).unwrap_or(Credits::MAX);
            let (spent, since) = (Credits::ZERO, Instant::now());
            remember(lanes, team, Own::Lane { id, expires_at, left, spent, since });
        });
    }

    /// The lane has paid.
    pub(super) fn spent(&self, team: &TeamId, cost: Credits) {
        self.with(|lanes| {
            if let Some(Own::Lane { left, spent, .. }) = lanes.get_mut(team) {
                *left = left.above(cost);
                *spent = spent.plus(cost).unwrap_or(Credits::MAX);
            }
        });
    }

    /// So much is left in the lane: another charge than this one may still be covered.
    pub(super) fn has_left(&self, team: &TeamId, remaining: Credits) {
        self.with(|lanes| {
            if let Some(Own::Lane { left, .. }) = lanes.get_mut(team) {
                *left = remaining;
            }
        });
    }

    /// The lane is of another epoch, or closed, and cannot be prolonged.
    pub(super) fn forget(&self, team: &TeamId) {
        self.with(|lanes| lanes.remove(team));
    }

    /// The lane was called back.
    pub(super) fn called_back(&self, team: &TeamId) {
        self.with(|lanes| remember(lanes, team, Own::CalledBack { at: Instant::now() }));
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TeamId, Own>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn remember(lanes: &mut HashMap<TeamId, Own>, team: &TeamId, own: Own) {
    if lanes.len() >= MOST {
        lanes.clear();
    }
    lanes.insert(team.clone(), own);
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

    /// The open lanes of a team.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_of(&self, team: &TeamId) -> Result<Vec<Hold>, Error> {
        let ids = self.open_lanes(team, None).await?;
        let lanes = stream::iter(ids).map(async |id| self.get(keys::lane(team, &id)).await);
        let found: Vec<Option<Item>> = lanes.buffer_unordered(AT_ONCE).try_collect().await?;
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

    /// Gives lanes of a team back to its pool. Whether there were any. Others may be taken meanwhile: who needs them all looks again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn call_back(
        &self,
        team: &TeamId,
        which: Which,
        now: Time,
    ) -> Result<bool, Error> {
        let by = match which {
            Which::Expired => Some(now),
            Which::All => {
                self.lanes.called_back(team);
                None
            }
        };
        let ids = self.open_lanes(team, by).await?;
        let ids = if by.is_none() { self.unless_others_do(team, ids).await? } else { ids };
        // Owners charge from their lanes all the time. So each is closed first, whatever is in it.
        let closed = stream::iter(ids).map(async |id| self.close_lane(team, &id, by).await);
        let closed: Vec<Option<Hold>> = closed.buffer_unordered(AT_ONCE).try_collect().await?;
        let closed: Vec<Hold> = closed.into_iter().flatten().collect();
        let mut patience = self.patience();
        for lanes in closed.chunks(BACK_AT_ONCE) {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let writes = self.give_lanes_back(&pool, lanes, now)?;
            // If it is cancelled, somebody else has given some of them back.
            self.transact(writes, &mut patience).await?;
        }
        Ok(!closed.is_empty())
    }

    /// These lanes, unless some of them are gone in a moment: then somebody else calls them back.
    async fn unless_others_do(&self, team: &TeamId, ids: Vec<Id>) -> Result<Vec<Id>, Error> {
        let lanes = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if lanes < 2 {
            return Ok(ids);
        }
        sleep(FOR_EACH_LANE.saturating_mul(lanes).mul_f64(fastrand::f64())).await;
        let still = self.open_lanes(team, None).await?;
        Ok(if ids.iter().all(|id| still.contains(id)) { still } else { Vec::new() })
    }

    /// Closes a lane to its owner. `None` if it is gone, or was prolonged.
    async fn close_lane(
        &self,
        team: &TeamId,
        id: &Id,
        by: Option<Time>,
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
        let image = self.patiently(|| async {
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
