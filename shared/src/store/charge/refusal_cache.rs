//! A cache of pools that could not pay. It refuses charges and never accepts one, so repeated refusals need no
//! write.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use crate::domain::ids::TeamId;
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};
use crate::store::Store;
use crate::store::entry::EntryResult;
use crate::store::team_cache::TeamCache;

/// The cached balance is used for this time. Credits that another process adds are seen after it at the latest.
const BALANCE_FRESH_FOR: Duration = Duration::from_millis(500);

/// For this time the pool is read before a write is attempted.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// The number of concurrent look-ups of entries.
const LOOKUPS_MAX: usize = 16;

/// The pools of this process that recently could not pay.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct RefusalCache(TeamCache<CachedPool>);

#[derive(Clone, Copy, Debug)]
struct CachedPool {
    balance: Credits,
    is_paused: bool,
    is_stored: bool,
    /// The time of the next due change, or of the next expiry of a hold.
    valid_until: Option<Time>,
    seen: Instant,
    seen_at: Time,
}

impl CachedPool {
    /// The refusal of a charge; `None` if the cached pool does not refuse it.
    fn refusal(&self, charge: &Entry) -> Option<Error> {
        let (balance, required) = (self.balance, charge.amount());
        if self.is_paused && charge.is_enrichment() {
            Some(Error::EnrichmentPaused)
        } else if required > balance && self.is_stored && !charge.pauses_enrichment_at(balance) {
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
    /// Caches a pool that did not pay, until the next expiry of a hold. All credits in lanes and expired holds are in
    /// its balance.
    pub(in crate::store) fn insert(&self, pool: &Pool, next_expiry: Option<Time>, now: Time) {
        let cached = CachedPool {
            balance: pool.balance.credits,
            is_paused: pool.is_paused(),
            is_stored: pool.refused.is_some(),
            valid_until: next_expiry.into_iter().chain(pool.due_at()).min(),
            seen: Instant::now(),
            seen_at: now,
        };
        self.0.insert(&pool.team, cached);
    }

    /// Removes a pool that has changed.
    pub(in crate::store) fn remove(&self, team: &TeamId) {
        self.0.remove(team);
    }

    /// The cached pool of a team, if it refuses all of these charges.
    fn refusing(&self, team: &TeamId, charges: &[Entry], now: Time) -> Option<CachedPool> {
        let cached = self.0.get(team)?;
        let is_valid =
            cached.age(now) < CACHED_FOR && cached.valid_until.is_none_or(|until| until > now);
        let refuses = charges.iter().all(|charge| cached.refusal(charge).is_some());
        (is_valid && refuses).then_some(cached)
    }
}

impl Store {
    /// The results of charges if the cache refuses each of them: replays for keys that have an entry, else refusals.
    /// `None` if a write must be attempted.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team), [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn refusals_cached(
        &self,
        team: &TeamId,
        charges: &[Entry],
        now: Time,
    ) -> Result<Option<Vec<EntryResult>>, Error> {
        let Some(cached) = self.refusals.refusing(team, charges, now) else { return Ok(None) };
        if cached.age(now) >= BALANCE_FRESH_FOR {
            let all = self.projection_read(team, now).await?;
            if all.pool.check_open().is_err() {
                self.refusals.remove(team);
                return Ok(None);
            }
            self.refusals.insert(&all.pool, all.next_expiry(), now);
        }
        let Some(cached) = self.refusals.refusing(team, charges, now) else { return Ok(None) };
        let results = stream::iter(charges.to_vec()).map(async |asked| {
            let lost = || Error::internal("a charge is not refused");
            self.entry_refuse(&asked, cached.refusal(&asked).unwrap_or_else(lost)).await
        });
        results.buffered(LOOKUPS_MAX).try_collect().await.map(Some)
    }
}
