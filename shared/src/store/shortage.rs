//! A short memory of pools that could not pay. It can refuse and never admit, so that a storm of
//! refusals stays away from the pool: what is known to be too much is not tried as a write.

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

/// So long a pool is taken to be as it was seen. Credits that another process adds, or that an
/// expired hold gives back, are noticed after it at the latest.
const FRESH: Duration = Duration::from_millis(500);

/// So long a pool is looked at before anything is written for it.
const KNOWN: Duration = Duration::from_secs(30);

/// The most pools that are remembered.
const MOST: usize = 10_000;

/// How many entries are looked for at a time.
const AT_ONCE: usize = 16;

/// The pools that could not pay lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Shortages(Arc<Mutex<HashMap<TeamId, Shortage>>>);

#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    balance: Credits,
    is_paused: bool,
    is_noted: bool,
    due_at: Option<Time>,
    seen: Instant,
    seen_at: Time,
}

impl Shortage {
    /// Why a charge is refused, as far as that is known.
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

    /// How long ago the pool was seen, by the clock that says more: one may stand still while a
    /// function is frozen, and the other in a test.
    fn age(&self, now: Time) -> Duration {
        let by_time = now.timestamp().duration_since(self.seen_at.timestamp());
        // A clock that has gone back says nothing.
        self.seen.elapsed().max(by_time.try_into().unwrap_or(Duration::MAX))
    }
}

impl Shortages {
    /// Remembers a pool that could not pay, with no lane open.
    pub(super) fn remember(&self, pool: &Pool, now: Time) -> Shortage {
        let shortage = Shortage {
            balance: pool.balance.credits,
            is_paused: pool.is_paused(),
            is_noted: pool.refused.is_some(),
            due_at: pool.due_at(),
            seen: Instant::now(),
            seen_at: now,
        };
        self.with(|pools| {
            if pools.len() >= MOST {
                pools.clear();
            }
            pools.insert(pool.team.clone(), shortage);
        });
        shortage
    }

    /// Forgets a pool that is no longer as it was seen.
    pub(super) fn forget(&self, team: &TeamId) {
        self.with(|pools| pools.remove(team));
    }

    fn of(&self, team: &TeamId, now: Time) -> Option<Shortage> {
        self.with(|pools| pools.get(team).copied()).filter(|shortage| {
            shortage.age(now) < KNOWN && shortage.due_at.is_none_or(|due| due > now)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<TeamId, Shortage>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// The outcomes of charges that are known to be too much, each of them, for the team's pool;
    /// those that were made before are still answered as replays. `None` if it takes a try to know.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn known_outcomes(
        &self,
        team: &TeamId,
        charges: &[Entry],
        now: Time,
    ) -> Result<Option<Vec<Outcome>>, Error> {
        let Some(mut shortage) = self.shortages.of(team, now) else { return Ok(None) };
        let all_refused =
            |shortage: &Shortage| charges.iter().all(|charge| shortage.refusal(charge).is_some());
        if !all_refused(&shortage) {
            return Ok(None);
        }
        if shortage.age(now) >= FRESH {
            let pool = self.view(team, now).await?.pool;
            if pool.check_open().is_err() {
                self.shortages.forget(team);
                return Ok(None);
            }
            shortage = self.shortages.remember(&pool, now);
            if !all_refused(&shortage) {
                return Ok(None);
            }
        }
        let outcomes = stream::iter(charges.to_vec())
            .map(async |asked| self.known_outcome(asked, &shortage).await);
        outcomes.buffered(AT_ONCE).try_collect().await.map(Some)
    }

    async fn known_outcome(&self, asked: Entry, shortage: &Shortage) -> Result<Outcome, Error> {
        let refused = || {
            let lost = || Error::internal("a charge is not refused");
            Outcome::Refused(shortage.refusal(&asked).unwrap_or_else(lost))
        };
        match self.get(keys::entry(&asked)).await? {
            Some(image) => Outcome::earlier(image, &asked),
            None => Ok(refused()),
        }
    }
}
