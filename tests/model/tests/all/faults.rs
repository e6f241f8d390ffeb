//! Everything at once over an unreliable network: whatever is turned away or answered into the void,
//! nothing is done twice, nothing is minted and nothing is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use engine::{Engine, Faults};
use futures_util::future::join_all;
use shared::domain::entry::{Entry, Kind};
use shared::domain::hold::{Hold, HoldRequest};
use shared::domain::ids::TeamId;
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::store::Store;
use shared::store::charge::Outcome;
use shared::store::history::Selection;
use shared::store::hold::Release;

use crate::concurrency::{charge, now, team_with};
use crate::domain::{hold_id, subscription};
use crate::operation::key;

const CLIENTS: u64 = 8;
const STEPS: u32 = 40;
const DAY: u32 = 24 * 60 * 60;

/// A client who does one thing after the other, and what it was told to be done now.
struct ClientOf {
    store: Store,
    team: TeamId,
    random: fastrand::Rng,
    clock: Arc<AtomicU32>,
    done: Vec<String>,
}

impl ClientOf {
    fn now(&self) -> Time {
        now().plus_seconds(self.clock.load(Ordering::Relaxed) * DAY)
    }

    async fn live(mut self) -> Vec<String> {
        for _ in 0..STEPS {
            let number = self.random.u8(0..120);
            let told = match self.random.u8(0..20) {
                0..=7 => self.charge(number).await,
                8..=11 => self.hold(number % 12).await,
                12..=13 => self.release(number, self.random.clone().u8(0..12)).await,
                14..=15 => self.gift(number).await,
                16 => self.buy(number).await,
                17 => self.subscribe().await,
                _ => {
                    self.clock.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
            };
            match told {
                Ok(())
                | Err(
                    Error::InsufficientCredits { .. }
                    | Error::KeyReused
                    | Error::HoldClosed
                    | Error::NotFound("hold" | "purchase")
                    // A read that was turned away; whoever asked would ask again.
                    | Error::Busy,
                ) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        self.done
    }

    fn take(&mut self, outcome: Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Charged(entry) => self.done.push(entry.source()),
            Outcome::Replayed(_) => {}
            Outcome::Refused(error) => return Err(error),
        }
        Ok(())
    }

    async fn charge(&mut self, number: u8) -> Result<(), Error> {
        let size = self.random.u8(1..5);
        let hold = self.random.bool().then(|| hold_id(&self.team, self.random.u8(0..12)));
        let entry = |number: u8| {
            let entry = charge(&self.team, key(number).as_str(), "email_finder", "risky");
            let entry = Entry { at: self.now(), ..entry };
            match &hold {
                Some(id) => {
                    Entry { kind: Kind::Capture, held: -5, hold: Some(id.clone()), ..entry }
                }
                None => entry,
            }
        };
        let entries = (0..size).map(|n| entry((number + n) % 120)).collect();
        for outcome in self.store.charge(&self.team, entries, self.now()).await {
            let _ = self.take(outcome).map_err(|error| {
                let is_fine = !matches!(error, Error::Internal(_) | Error::Invalid(_));
                assert!(is_fine, "{error:?}");
            });
        }
        Ok(())
    }

    async fn hold(&mut self, number: u8) -> Result<(), Error> {
        let days = self.random.u32(1..30);
        let body =
            format!(r#"{{"credits":{},"expires_in":{}}}"#, self.random.u8(1..80), days * DAY);
        let request: HoldRequest = serde_json::from_str(&body).unwrap();
        let (user, prices) = ("u".parse().unwrap(), &shared::domain::catalogue::PRICE_LISTS[0]);
        let entry = request.entry(&self.team, key(number), user, prices, self.now())?;
        let outcome = self.store.hold(entry, self.now()).await?;
        self.take(outcome)
    }

    async fn release(&mut self, number: u8, hold: u8) -> Result<(), Error> {
        let by = Release::ByOwner(key(number), "u".parse().unwrap());
        let id = hold_id(&self.team, hold);
        self.store.release(&self.team, &id, &by, self.now()).await.map(drop)
    }

    async fn gift(&mut self, number: u8) -> Result<(), Error> {
        let credits = Credits::new(self.random.u64(1..50));
        let gift = GiftRequest { credits, reference: None };
        let gift = gift.entry(&self.team, key(number), "u".parse().unwrap(), self.now())?;
        let outcome = self.store.gift(gift).await?;
        self.take(outcome)
    }

    async fn buy(&mut self, number: u8) -> Result<(), Error> {
        let credits = Credits::new(self.random.u64(1..50));
        let user = "u".parse().unwrap();
        let purchase = Purchase::new(&self.team, key(number), user, credits, self.now());
        let (begun, _) = self.store.begin(&purchase).await?;
        self.store.settle(&begun, self.now()).await.map(drop)
    }

    async fn subscribe(&mut self) -> Result<(), Error> {
        let plan = self.random.choice(["multichannel_expert", "free_trial", "enterprise"]).unwrap();
        let (now, seats) = (self.now(), self.random.u8(1..4));
        let request = subscription(plan, seats, false, now);
        self.store.change(&self.team, now, |pool| pool.subscribe(&request, now)).await.map(drop)
    }
}

async fn run(seed: u64) {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 50).await;
    let clock = Arc::new(AtomicU32::new(0));
    let clients = (0..CLIENTS).map(|number| {
        let seed = seed * CLIENTS + number;
        let client = ClientOf {
            store: engine.store_with_faults(Faults::of(seed)),
            team: team.clone(),
            random: fastrand::Rng::with_seed(seed),
            clock: Arc::clone(&clock),
            done: Vec::new(),
        };
        tokio::spawn(client.live())
    });
    let mut told: HashMap<String, u32> = HashMap::new();
    for client in join_all(clients).await {
        for source in client.unwrap() {
            *told.entry(source).or_default() += 1;
        }
    }
    assert!(told.values().all(|count| *count == 1), "seed {seed}: done twice: {told:?}");

    // Long after all holds have expired, and in the middle of everything.
    for days in [clock.load(Ordering::Relaxed), clock.load(Ordering::Relaxed) + 60] {
        let pool = store.pool(&team, now().plus_seconds(days * DAY)).await.unwrap();
        let reserved = store.held(&pool).await.unwrap();
        let history = store.history(&team, &Selection::default(), None, 100_000).await.unwrap();
        let entries = history.entries;
        assert!(history.next.is_none());
        let credits: i64 = entries.iter().map(|entry| entry.credits).sum();
        let moved: i64 = entries.iter().map(|entry| entry.held).sum();
        assert_eq!(moved, reserved.gained(), "seed {seed}: what moved into holds is in them");
        assert_eq!(credits, pool.balance.credits.gained() + reserved.gained(), "seed {seed}");
        let of = |kind| -> i64 {
            entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.credits).sum()
        };
        assert!(-of(Kind::Expiry) <= of(Kind::Grant), "seed {seed}: purchased credits lapsed");
        for entry in &entries {
            if let Some(hold) = Hold::of(entry, &pool) {
                let found = store.look_at_hold(&team, &hold.id).await.unwrap();
                let captured: i64 = entries
                    .iter()
                    .filter(|entry| {
                        entry.kind == Kind::Capture && entry.hold == Some(hold.id.clone())
                    })
                    .map(|entry| -entry.credits)
                    .sum();
                assert_eq!(captured, found.captured.gained(), "seed {seed}: {found:?}");
                assert!(found.captured <= found.credits);
            }
        }
        let sources: Vec<String> = entries.iter().map(Entry::source).collect();
        assert!(told.keys().all(|source| sources.contains(source)), "seed {seed}: told, not done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_twice_or_lost() {
    for seed in 0..12 {
        Box::pin(run(seed)).await;
    }
}
