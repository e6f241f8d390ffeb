//! Lanes: while the pool meets conflicts, a process takes a block of its credits in the write of a charge and pays
//! the next charges from its own item.
//!
//! A lane is a hold: when its owner crashes, it expires and what remains returns to the pool. Three rules keep
//! lanes exact. A lane is small against the balance and lives for seconds, see [`crate::domain::lane`]. All lanes
//! are returned before a grant, a reset, the closing of an account, and a refusal that their credits would cover, under
//! a mark of the pool that prevents new ones. Credits in lanes are part of the balance that a team sees.

use std::ops::RangeInclusive;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::from_item;
use super::dynamo::keys::{self, Item};
use super::dynamo::request::Updated;
use super::dynamo::transaction::{Leg, Transaction};
use super::lane_cache::Block;
use super::pool::{Returned, received};
use super::retry::RetryBudget;
use crate::domain::hold::{Hold, HoldStatus};
use crate::domain::ids::{Id, TeamId};
use crate::domain::lane::{expires_at, reopened_size};
use crate::domain::pool::Pool;
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most lanes that are read or closed concurrently.
const CONCURRENT_READS_MAX: usize = 128;

/// The most lanes that are returned or opened again in one write: two legs for each and one for the pool.
const LANES_PER_WRITE_MAX: usize = 49;

/// The life of a lane that is opened again, in milliseconds. Lives differ so that owners do not extend their lanes
/// at the same time.
const REOPENED_LANE_MS: RangeInclusive<u32> = 2_000..=5_000;

/// A lane that expired this many seconds ago is not opened again.
const REOPEN_SECONDS_MAX: u32 = 2;

impl Transaction {
    /// Opens or extends a lane. Another leg takes its credits from the pool. Returns the leg of the lane.
    pub(super) fn open_lane(&mut self, team: &TeamId, block: &Block) -> Result<Leg, Error> {
        let open = Expression::on(keys::lane(team, &block.lane))
            .set("credits = if_not_exists(credits, :none) + :block")
            .set("remaining = if_not_exists(remaining, :none) + :block")
            .value(":block", block.credits)
            .value(":none", 0)
            .set("used = if_not_exists(used, :unused)")
            .value(":unused", Usage::default())
            .set("id = :id, team = :team")
            .value(":id", &block.lane)
            .value(":team", team)
            .set("expires_at = :expires_at, reset_epoch = :reset_epoch")
            .value(":expires_at", block.expires_at)
            .value(":reset_epoch", block.reset_epoch)
            .set("#status = :open, epoch = :epoch")
            .when("(attribute_not_exists(pk) OR (#status = :open AND epoch = :epoch))")
            .name("#status", "status")
            .value(":open", HoldStatus::Open)
            .value(":epoch", block.epoch);
        let lane = self.update(open)?;
        self.put(keys::lane_marker(team, &block.lane, block.expires_at))?;
        Ok(lane)
    }
}

impl Store {
    /// The open lanes of a team. If the pool has none, none is read.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_read(&self, pool: &Pool) -> Result<Vec<Hold>, Error> {
        if pool.lanes.is_zero() {
            return Ok(Vec::new());
        }
        let team = &pool.team;
        let ids = self.lane_ids(team, None).await?;
        let lanes = stream::iter(ids).map(async |id| self.item_get(keys::lane(team, &id)).await);
        let found: Vec<Option<Item>> =
            lanes.buffer_unordered(CONCURRENT_READS_MAX).try_collect().await?;
        found.into_iter().flatten().map(from_item).collect()
    }

    /// The ids of a team's lanes, or of those that expire by a time.
    async fn lane_ids(&self, team: &TeamId, by: Option<Time>) -> Result<Vec<Id>, Error> {
        // All characters of an id sort between these.
        let markers = self.items_range(keys::lanes(team), "-", "~").await?;
        let has_expired =
            |marker: &&Item| by.is_none_or(|by| keys::due_at(marker).is_some_and(|at| at <= by));
        Ok(markers.iter().filter(has_expired).filter_map(keys::lane_of_marker).collect())
    }

    /// Returns the lanes of a team to its pool: all, or those that expire by a time. Returns the lanes as they were.
    /// To return all, a mark or a pause of enrichment must prevent new ones; the pool is read again after it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_return(
        &self,
        team: &TeamId,
        by: Option<Time>,
        now: Time,
        budget: &RetryBudget,
    ) -> Result<Vec<Hold>, Error> {
        if by.is_none() {
            self.lanes.set_closed(team);
        }
        let ids = self.lane_ids(team, by).await?;
        // An owner charges from its lane at any time, so each lane is closed first.
        let closed = stream::iter(ids).map(async |id| self.lane_close(team, &id, by, budget).await);
        let closed: Vec<Option<Hold>> =
            closed.buffer_unordered(CONCURRENT_READS_MAX).try_collect().await?;
        let closed: Vec<Hold> = closed.into_iter().flatten().collect();
        let mut budget = budget.clone().with_short_pauses();
        for lanes in closed.chunks(LANES_PER_WRITE_MAX) {
            let pool = self.pool_read(team).await?;
            // If it is cancelled, another process has returned some of them.
            self.transact(&self.lanes_returned(&pool, lanes, now)?, &mut budget).await?;
        }
        Ok(closed)
    }

    /// Closes a lane to its owner. Returns `None` if it does not exist or was extended.
    async fn lane_close(
        &self,
        team: &TeamId,
        id: &Id,
        by: Option<Time>,
        budget: &RetryBudget,
    ) -> Result<Option<Hold>, Error> {
        // '~' sorts above all times.
        let by = by.map_or("~".to_owned(), |by| by.to_string());
        let close = Expression::on(keys::lane(team, id))
            .set("#status = :released")
            .when("#status = :open AND expires_at <= :by")
            .name("#status", "status")
            .value(":released", HoldStatus::Released)
            .value(":open", HoldStatus::Open)
            .value(":by", by);
        let mut budget = budget.clone().with_short_pauses();
        let image = match self.item_update(close, &mut budget).await? {
            Updated::Written(lane) => Some(lane),
            Updated::Unmet(lane) => lane,
        };
        let lane: Option<Hold> = image.map(from_item).transpose()?;
        Ok(lane.filter(|lane| lane.status == HoldStatus::Released))
    }

    /// The write that returns closed lanes.
    fn lanes_returned(&self, pool: &Pool, lanes: &[Hold], now: Time) -> Result<Transaction, Error> {
        let (mut after, mut returned) = (pool.clone(), Returned::default());
        let mut transaction = self.transaction();
        for lane in lanes {
            after.receive_lane(lane, now)?;
            returned.lanes = returned.lanes.try_add(lane.credits)?;
            returned.used.merge(&lane.used)?;
            let closed = Expression::on(keys::lane(&lane.team, &lane.id))
                .when("#status = :released AND credits = :credits")
                .name("#status", "status")
                .value(":released", HoldStatus::Released)
                .value(":credits", lane.credits)
                .when("remaining = :remaining AND epoch = :epoch")
                .value(":remaining", lane.remaining)
                .value(":epoch", lane.epoch);
            transaction.delete(closed)?;
            transaction.delete(Expression::on(keys::lane_marker_key(&lane.team, &lane.id)))?;
        }
        transaction.update(received(pool, &after, &returned, now)?)?;
        Ok(transaction)
    }

    /// Opens returned lanes again, many in a write, so that their owners need no write of the pool each.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lanes_reopen(
        &self,
        team: &TeamId,
        lanes: Vec<Hold>,
        now: Time,
        mut budget: RetryBudget,
    ) -> Result<(), Error> {
        for lanes in lanes.chunks(LANES_PER_WRITE_MAX) {
            loop {
                let pool = self.pool_read(team).await?;
                let blocks = reopening_blocks(&pool, lanes, now);
                if blocks.is_empty() {
                    break;
                }
                let reopened = self.lanes_reopened(&pool, &blocks, now)?;
                if self.transact(&reopened, &mut budget).await?.is_none() {
                    break;
                }
                budget.back_off().await?;
            }
        }
        Ok(())
    }

    /// The write that opens lanes again.
    fn lanes_reopened(
        &self,
        pool: &Pool,
        blocks: &[Block],
        now: Time,
    ) -> Result<Transaction, Error> {
        let credits = Credits::sum(blocks.iter().map(|block| block.credits))?;
        let take = Expression::on(keys::pool(&pool.team))
            .set("credits = credits - :lanes, lanes = lanes + :lanes")
            .set("lane_moves = lane_moves + :one")
            .value(":one", 1)
            .when("credits >= :lanes AND epoch = :epoch")
            .value(":lanes", credits)
            .value(":epoch", pool.epoch)
            .when_active()
            .when_not_due(now)
            .when("attribute_not_exists(paused_at)");
        let mut transaction = self.transaction();
        transaction.update(take)?;
        for block in blocks {
            transaction.open_lane(&pool.team, block)?;
        }
        Ok(transaction)
    }

    /// Reads whether the past lane of this process is open again, and caches the result.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn lane_read_own(&self, team: &TeamId, now: Time) -> Result<(), Error> {
        let Some(id) = self.lanes.past(team, now) else { return Ok(()) };
        let lane = self.item_get(keys::lane(team, &id)).await?;
        let lane: Option<Hold> = lane.map(from_item).transpose()?;
        self.lanes.reopen(team, lane.filter(|lane| lane.status == HoldStatus::Open));
        Ok(())
    }
}

/// The blocks for lanes that are opened again, each a small part of the balance that is left.
fn reopening_blocks(pool: &Pool, lanes: &[Hold], now: Time) -> Vec<Block> {
    if pool.is_paused() || pool.is_due(now) || pool.check_open().is_err() {
        return Vec::new();
    }
    let mut balance = pool.balance.credits;
    let block = |lane: &Hold| {
        if lane.expires_at.plus_seconds(REOPEN_SECONDS_MAX) <= now {
            return None;
        }
        let credits = reopened_size(balance, lane.remaining)?;
        balance = balance.excess_over(credits);
        let end = now.plus_milliseconds(fastrand::u32(REOPENED_LANE_MS));
        Some(Block {
            lane: lane.id.clone(),
            credits,
            epoch: pool.epoch,
            reset_epoch: pool.terms.reset_epoch,
            opened_at: now,
            expires_at: end.min(expires_at(pool, now)),
        })
    };
    lanes.iter().filter_map(block).collect()
}
