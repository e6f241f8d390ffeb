//! Many writers on one team's pool, in virtual time under the simulator of AWS. The figures are the
//! same on every machine and in every run.

use std::time::Duration;

use futures_util::future::join_all;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use shared::store::entry::Outcome;
use simulator::{Nature, Tally, World};
use tokio::time::Instant;

use crate::{PRICE, entry, naive, team_with};

/// How a charge is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// As this project does it: one conditional transaction, and a lane where the pool pushes back.
    Lanes,
    /// One conditional transaction, tried again with full jitter.
    OneTransaction,
    /// Read, then write if the version is still the same, else from the start.
    Versioned,
}

impl Design {
    /// Its name in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lanes => "lanes",
            Self::OneTransaction => "one transaction per charge",
            Self::Versioned => "read, then versioned write",
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How it is done.
    pub design: Design,
    /// How many processes charge, one request after the other.
    pub writers: usize,
    /// How many charges there are in a request.
    pub batch: usize,
    /// For how long, in virtual seconds.
    pub seconds: u64,
    /// What there is to spend, in credits.
    pub credits: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Charges that were accepted.
    pub charged: u64,
    /// Charges that were refused for too few credits.
    pub refused: u64,
    /// Charges that were answered as busy.
    pub busy: u64,
    /// Charges a second that were accepted while the load lasted.
    pub rate: u64,
    /// How long it took in virtual time, to the last answer.
    pub time: Duration,
    /// Half of the requests were answered within this time.
    pub p50: Duration,
    /// 99 of a hundred requests were answered within this time.
    pub p99: Duration,
    /// The most that anybody was told to be left who was refused, in credits.
    pub told: Option<u64>,
    /// What the team has in the end, in credits.
    pub left: u64,
    /// What of it is in the pool itself, once all lanes have expired.
    pub in_pool: u64,
    /// What it took of the table.
    pub tally: Tally,
}

#[derive(Default)]
struct Answers {
    charged: u64,
    in_time: u64,
    refused: u64,
    busy: u64,
    told: Option<u64>,
    times: Vec<Duration>,
}

/// Puts a load on a pool.
#[must_use]
pub fn measure(load: Load, seed: u64) -> Figures {
    let began_at: Time = "2027-01-10T12:00:00Z".parse().unwrap();
    simulator::run(seed, Nature::CALM, began_at, async |world| live(&world, load).await).unwrap()
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
        let Answers { charged, in_time, refused, busy, told, times } = answers.unwrap();
        all.charged += charged;
        all.in_time += in_time;
        all.refused += refused;
        all.busy += busy;
        all.told = all.told.max(told);
        all.times.extend(times);
    }
    let (time, tally) = (start.elapsed(), world.tally());
    all.times.sort_unstable();
    let store = world.store();
    let left = store.projection_read(&team, world.now()).await.unwrap().pool.balance.credits.get();
    // Whoever looks after that gives back what is left of them.
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
        told: all.told,
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
                for outcome in store.charge(team, entries, world.now()).await {
                    match outcome {
                        Outcome::Charged(_) | Outcome::Replayed(_) => answers.charged += 1,
                        Outcome::Refused(Error::InsufficientCredits { balance, .. }) => {
                            answers.refused += 1;
                            answers.told = answers.told.max(Some(balance.get()));
                        }
                        Outcome::Refused(Error::EnrichmentPaused) => answers.refused += 1,
                        Outcome::Refused(_) => answers.busy += 1,
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
            // Who was refused comes again, but not at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    answers
}

/// Whether a run was exact: what was charged is gone, the rest is there and in the pool.
#[must_use]
pub fn is_exact(load: Load, figures: &Figures) -> bool {
    figures.charged * PRICE + figures.left == load.credits && figures.in_pool == figures.left
}
