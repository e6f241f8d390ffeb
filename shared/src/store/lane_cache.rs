//! The lane of this process for each team. The cached lane is a hint; the write condition decides.

use std::time::Duration;

use tokio::time::Instant;

use super::team_cache::TeamCache;
use crate::domain::Credits;
use crate::domain::hold::Hold;
use crate::domain::ids::{Id, TeamId};
use crate::domain::lane::{LANE_SECONDS, RecentSpending, expires_at, size};
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// The lanes of a process, at most one for each team.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneCache(TeamCache<CachedLane>);

/// The lane of this process.
#[derive(Clone, Debug)]
struct CachedLane {
    id: Id,
    expires_at: Time,
    remaining: Credits,
    spent: Credits,
    since: Instant,
    /// Whether another process has closed it.
    is_closed: bool,
}

/// A block of credits that moves from the pool into a lane, which is opened or extended.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) lane: Id,
    pub(super) credits: Credits,
    pub(super) epoch: u64,
    pub(super) reset_epoch: u64,
    pub(super) opened_at: Time,
    pub(super) expires_at: Time,
}

impl LaneCache {
    /// The lane that is expected to cover a cost.
    pub(super) fn covering(&self, team: &TeamId, cost: Credits, now: Time) -> Option<Id> {
        let lane = self.0.get(team)?;
        let covers = !lane.is_closed && lane.expires_at > now && lane.remaining >= cost;
        covers.then_some(lane.id)
    }

    /// Whether the process had a lane recently, so that it will need one again.
    pub(super) fn had_one(&self, team: &TeamId) -> bool {
        let recent = Duration::from_secs(LANE_SECONDS.into()).saturating_mul(2);
        self.0.get(team).is_some_and(|lane| lane.since.elapsed() < recent)
    }

    /// The block to open or extend a lane with, in the write of charges of that cost. `None` if the pool gives no
    /// lane or a lane is not worth it.
    pub(super) fn plan(&self, pool: &Pool, cost: Credits, now: Time) -> Option<Block> {
        if pool.is_paused() || pool.is_changing(now) {
            return None;
        }
        let own = self.0.get(&pool.team);
        let recent =
            own.as_ref().map(|own| RecentSpending { spent: own.spent, time: own.since.elapsed() });
        Some(Block {
            lane: own.map_or_else(|| new_id(&pool.team), |own| own.id),
            credits: size(pool.balance.credits, cost, recent)?,
            epoch: pool.epoch,
            reset_epoch: pool.terms.reset_epoch,
            opened_at: now,
            expires_at: expires_at(pool, now),
        })
    }

    /// Stores that a lane was opened or extended.
    pub(super) fn set_block(&self, team: &TeamId, block: &Block) {
        let before = self.0.get(team).filter(|before| before.id == block.lane);
        let before = before.map_or(Credits::ZERO, |before| before.remaining);
        let lane = CachedLane {
            id: block.lane.clone(),
            expires_at: block.expires_at,
            remaining: before.checked_add(block.credits).unwrap_or(block.credits),
            spent: Credits::ZERO,
            since: Instant::now(),
            is_closed: false,
        };
        self.0.insert(team, lane);
    }

    /// Stores that the lane has paid.
    pub(super) fn count_payment(&self, team: &TeamId, cost: Credits) {
        self.0.update(team, |lane| {
            lane.remaining = lane.remaining.excess_over(cost);
            lane.spent = lane.spent.checked_add(cost).unwrap_or(lane.spent);
        });
    }

    /// Stores what remains in the lane. It may cover another charge.
    pub(super) fn set_remaining(&self, team: &TeamId, remaining: Credits) {
        self.0.update(team, |lane| lane.remaining = remaining);
    }

    /// Stores that another process has closed the lane.
    pub(super) fn set_closed(&self, team: &TeamId) {
        self.0.update(team, |lane| (lane.remaining, lane.is_closed) = (Credits::ZERO, true));
    }

    /// The lane that another process has closed or that has expired.
    pub(super) fn past(&self, team: &TeamId, now: Time) -> Option<Id> {
        let lane = self.0.get(team)?;
        (lane.is_closed || lane.expires_at <= now).then_some(lane.id)
    }

    /// Stores that the past lane is open again; if it is not, the next lane has another id.
    pub(super) fn reopen(&self, team: &TeamId, open: Option<Hold>) {
        self.0.update(team, |lane| {
            lane.is_closed = false;
            if let Some(open) = open {
                (lane.remaining, lane.expires_at) = (open.remaining, open.expires_at);
            } else {
                (lane.id, lane.remaining) = (new_id(team), Credits::ZERO);
            }
        });
    }

    /// Removes a lane that cannot be extended because it is of another epoch.
    pub(super) fn remove(&self, team: &TeamId) {
        self.0.remove(team);
    }
}

fn new_id(team: &TeamId) -> Id {
    Id::of("l", team, &format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)))
}
