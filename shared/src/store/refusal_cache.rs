//! A cache of pools that could not pay. It refuses charges and never accepts one, so repeated refusals need no
//! write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::outcome::Outcome;
use super::{Store, keys};
use crate::domain::ids::TeamId;
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The cached balance is used for this time. Credits that another process adds, or that an expired hold
/// returns, are seen after it at the latest.
const BALANCE_FRESH_FOR: Duration = Duration::from_millis(500);

/// For this time the pool is read before a write is attempted.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// The most cached teams.
const CACHED_TEAMS_MAX: usize = 10_000;

/// The number of concurrent look-ups of entries.
const LOOKUPS_MAX: usize = 16;

/// The pools of this process that recently could not pay.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusalCache(Arc<Mutex<HashMap<TeamId, CachedPool>>>);

#[derive(Clone, Copy, Debug)]
pub(super) struct CachedPool {
    balance: Credits,
    is_paused: bool,
    is_noted: bool,
    due_at: Option<Time>,
    seen: Instant,
    seen_at: Time,
}

impl CachedPool {
    /// The refusal of a charge; `None` if the cached pool does not refuse it.
    fn refusal(&self, charge: &Entry) -> Option<Error> {
        let (balance, required) = (self.balance, charge.spent());
        if self.is_paused && charge.is_enrichment() {
            Some(Error::EnrichmentPaused)
        } else if required > balance && self.is_noted && !charge.pauses_enrichment_at(balance) {
            Some(Error::InsufficientCredits { balance, required })
        } else {
            None
        }
    }

    /// The age of the cached pool: the longer one by two clocks. One stands still while a function is frozen,
    /// the other in a test.
    fn age(&self, now: Time) -> Duration {
        let by_time = now.timestamp().duration_since(self.seen_at.timestamp());
        // A clock that was set back is ignored.
        self.seen.elapsed().max(by_time.try_into().unwrap_or(Duration::MAX))
    }
}

impl RefusalCache {
    /// Caches a pool that could not pay, without open lanes.
    pub(super) fn insert(&self, pool: &Pool, now: Time) -> CachedPool {
        let cached = CachedPool {
            balance: pool.balance.credits,
            is_paused: pool.is_paused(),
            is_noted: pool.refused.is_some(),
            due_at: pool.due_at(),
            seen: Instant::now(),
            seen_at: now,
        };
        self.with(|pools| {
            if pools.len() >= CACHED_TEAMS_MAX {
                pools.clear();
            }
            pools.insert(pool.team.clone(), cached);
        });
        cached
    }

    /// Removes a pool that has changed.
    pub(super) fn remove(&self, team: &TeamId) {
        self.with(|pools| pools.remove(team));
    }

    fn get(&self, team: &TeamId, now: Time) -> Option<CachedPool> {
        self.with(|pools| pools.get(team).copied()).filter(|cached| {
            cached.age(now) < CACHED_FOR && cached.due_at.is_none_or(|due| due > now)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TeamId, CachedPool>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// The outcomes of charges if the cache refuses each of them: replays for keys that have an entry, else
    /// refusals. `None` if a write must be attempted.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn cached_refusals(
        &self,
        team: &TeamId,
        charges: &[Entry],
        now: Time,
    ) -> Result<Option<Vec<Outcome>>, Error> {
        let Some(mut cached) = self.refusals.get(team, now) else { return Ok(None) };
        let all_refused =
            |cached: &CachedPool| charges.iter().all(|charge| cached.refusal(charge).is_some());
        if !all_refused(&cached) {
            return Ok(None);
        }
        if cached.age(now) >= BALANCE_FRESH_FOR {
            let pool = self.view(team, now).await?.pool;
            if pool.check_open().is_err() {
                self.refusals.remove(team);
                return Ok(None);
            }
            cached = self.refusals.insert(&pool, now);
            if !all_refused(&cached) {
                return Ok(None);
            }
        }
        let outcomes = stream::iter(charges.to_vec())
            .map(async |asked| self.cached_refusal(asked, &cached).await);
        outcomes.buffered(LOOKUPS_MAX).try_collect().await.map(Some)
    }

    async fn cached_refusal(&self, asked: Entry, cached: &CachedPool) -> Result<Outcome, Error> {
        let refused = || {
            let lost = || Error::internal("a charge is not refused");
            Outcome::Refused(cached.refusal(&asked).unwrap_or_else(lost))
        };
        match self.get(keys::entry(&asked)).await? {
            Some(image) => Outcome::earlier(image, &asked),
            None => Ok(refused()),
        }
    }
}
