//! Many writers on one team's pool, in virtual time. The figures are the same on every machine and
//! in every run.

use std::time::Duration;

use futures_util::future::join_all;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use shared::store::entry::EntryResult;
use simulator::{Faults, Tally, World};
use tokio::time::Instant;

use crate::{PRICE, entry, naive, team_with};

/// The design of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// The design of this project: one conditional transaction, with lanes under contention.
    Lanes,
    /// One conditional transaction, retried with full jitter.
    OneTransaction,
    /// Read, then write on condition that the version is unchanged, else repeat.
    Versioned,
}

impl Design {
    /// The name in the output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::OneTransaction => "one transaction per charge",
            Self::Versioned => "read, then versioned write",
        }
    }
}

/// The load of a measurement.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The design of the charges.
    pub design: Design,
    /// The number of processes, each of which sends one request after the other.
    pub writers: usize,
    /// The number of charges per request.
    pub batch: usize,
    /// The duration in virtual seconds.
    pub seconds: u64,
    /// The initial balance in credits.
    pub credits: u64,
}

/// The figures of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Accepted charges.
    pub charged: u64,
    /// Charges refused for missing credits.
    pub refused: u64,
    /// Charges answered as busy.
    pub busy: u64,
    /// Accepted charges per second during the load.
    pub rate: u64,
    /// The virtual time until the last answer.
    pub time: Duration,
    /// The median time of a request.
    pub p50: Duration,
    /// The time within which 99 of 100 requests were answered.
    pub p99: Duration,
    /// The highest balance reported by a refusal, in credits.
    pub reported: Option<u64>,
    /// The final balance in credits.
    pub left: u64,
    /// The final balance of the pool item after all lanes have expired.
    pub in_pool: u64,
    /// The counters of the table.
    pub tally: Tally,
}

#[derive(Default)]
struct Answers {
    charged: u64,
    in_time: u64,
    refused: u64,
    busy: u64,
    reported: Option<u64>,
    times: Vec<Duration>,
}

/// Measures a load.
#[must_use]
pub fn measure(load: Load, seed: u64) -> Figures {
    let began_at: Time = "2027-01-10T12:00:00Z".parse().unwrap();
    simulator::run(seed, Faults::NONE, began_at, async |world| live(&world, load).await).unwrap()
}

async fn live(world: &World, load: Load) -> Figures {
    let team = team_with(&world.store(), load.credits, world.now()).await;
    let _ = world.tally();
    let start = Instant::now();
    let writers = (0..load.writers).map(|number| {
        let (world, team) = (world.clone(), team.clone());
        tokio::spawn(async move { write(&world, &team, load, number, start).await })
    });
    let mut all = Answers::default();
    for answers in join_all(writers).await {
        let Answers { charged, in_time, refused, busy, reported, times } = answers.unwrap();
        all.charged += charged;
        all.in_time += in_time;
        all.refused += refused;
        all.busy += busy;
        all.reported = all.reported.max(reported);
        all.times.extend(times);
    }
    let (time, tally) = (start.elapsed(), world.tally());
    all.times.sort_unstable();
    let store = world.store();
    let left = store.projection_read(&team, world.now()).await.unwrap().pool.balance.credits.get();
    // All lanes have expired; the next read returns their credits.
    tokio::time::sleep(Duration::from_secs(10)).await;
    store.team_upkeep(&team, world.now()).await.unwrap();
    let in_pool = store.pool_current(&team, world.now()).await.unwrap().balance.credits.get();
    Figures {
        charged: all.charged,
        refused: all.refused,
        busy: all.busy,
        rate: all.in_time / load.seconds,
        time,
        p50: all.times.get(all.times.len() / 2).copied().unwrap_or_default(),
        p99: all.times.get(all.times.len() * 99 / 100).copied().unwrap_or_default(),
        reported: all.reported,
        left,
        in_pool,
        tally,
    }
}

async fn write(world: &World, team: &TeamId, load: Load, number: usize, start: Instant) -> Answers {
    let (store, client) = (world.store(), world.client());
    let mut answers = Answers::default();
    for request in 0.. {
        if start.elapsed() >= Duration::from_secs(load.seconds) {
            break;
        }
        let keys = (0..load.batch).map(|charge| format!("{number}/{request}/{charge}"));
        let entries: Vec<_> = keys.map(|key| entry(team, &key, world.now())).collect();
        let refused = answers.refused;
        let asked = Instant::now();
        match load.design {
            Design::Lanes => {
                for result in store.charge(team, entries, world.now()).await {
                    match result {
                        EntryResult::Created(_) | EntryResult::Replayed(_) => answers.charged += 1,
                        EntryResult::Refused(Error::InsufficientCredits { balance, .. }) => {
                            answers.refused += 1;
                            answers.reported = answers.reported.max(Some(balance.get()));
                        }
                        EntryResult::Refused(Error::EnrichmentPaused) => answers.refused += 1,
                        EntryResult::Refused(_) => answers.busy += 1,
                    }
                }
            }
            Design::OneTransaction => {
                answers.charged += u64::from(naive::one_transaction(&client, &entries[0]).await);
            }
            Design::Versioned => {
                answers.charged += u64::from(naive::versioned(&client, &entries[0]).await);
            }
        }
        if start.elapsed() <= Duration::from_secs(load.seconds) {
            answers.in_time = answers.charged;
        }
        answers.times.push(asked.elapsed());
        if answers.refused > refused {
            // A refused client waits before its next request.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    answers
}

/// Whether charged and remaining credits add up to the initial balance, with none left in lanes.
#[must_use]
pub fn is_exact(load: Load, figures: &Figures) -> bool {
    figures.charged * PRICE + figures.left == load.credits && figures.in_pool == figures.left
}
