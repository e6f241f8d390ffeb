//! All operations at once in a simulation with faults: calls are rejected, throttled, in conflict,
//! or their answers are lost; processes are stopped at any await and restart without state;
//! requests are sent twice at once, and again after holds have expired and the cycle has ended;
//! clocks differ between processes. No request takes effect twice, and the ledger adds up.
//!
//! `SEEDS=10000 cargo test -p model seeds` runs more seeds; `SEEDS=17..18` repeats one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::{catalogue, prices};
use futures_util::future::join_all;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::time::Time;
use shared::domain::{Credits, Error, Resource};
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::Release;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::process::{run_for_polls, seeds};
use crate::support::teams::{capture, charge_of, hold_id, key, team_with};

/// The first cycle of a team that began on 10 January ends a few seconds after this.
const BEGIN: &str = "2027-02-09T23:59:55Z";

/// The seeds that run by default.
const DEFAULT: Range<u64> = 0..70;

const WORKERS: u64 = 4;
const STEPS: u32 = 14;

/// The number of opened and returned lanes in all runs.
static LANE_MOVES: AtomicU64 = AtomicU64::new(0);

/// An action. A number identifies one request, so the same number is the same request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Charge { first: u8, size: u8 },
    Hold(u8),
    Release(u8),
    Gift(u8),
    Buy(u8),
    AddASeat,
    Restart,
    Look,
}

/// The clocks of two processes differ by up to a second.
const SKEW_MS: i64 = 500;

/// A new process with its own clock.
fn process(world: &World, random: &mut fastrand::Rng) -> App {
    App::new(world.store(), world.clock(random.i64(-SKEW_MS..=SKEW_MS)), catalogue())
}

/// A client in a process that is replaced by a new one when it is stopped.
struct Worker {
    world: World,
    store: Store,
    clock: Clock,
    team: TeamId,
    random: fastrand::Rng,
    /// The sources of the entries that were acknowledged as new.
    done: Vec<String>,
}

impl Worker {
    fn new(world: &World, process: App, team: &TeamId, seed: u64) -> Self {
        Self {
            world: world.clone(),
            store: process.store,
            clock: process.clock,
            team: team.clone(),
            random: fastrand::Rng::with_seed(seed),
            done: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    async fn live(mut self) -> Vec<String> {
        for _ in 0..STEPS {
            let act = match self.random.u8(0..20) {
                0..=10 => Act::Charge { first: self.random.u8(0..90), size: self.random.u8(1..4) },
                11..=13 => Act::Hold(self.random.u8(0..6)),
                14 => Act::Release(self.random.u8(0..6)),
                15 => Act::Gift(self.random.u8(0..4)),
                16 => Act::Buy(self.random.u8(0..4)),
                17 => Act::AddASeat,
                18 => Act::Restart,
                _ => Act::Look,
            };
            let polls = if self.random.u8(0..5) == 0 { self.random.u32(1..40) } else { u32::MAX };
            if run_for_polls(polls, Box::pin(self.act(act))).await.is_none() {
                let process = process(&self.world, &mut self.random);
                (self.store, self.clock) = (process.store, process.clock);
            }
            let pause = if self.random.u8(0..6) == 0 { 2_500 } else { 60 };
            sleep(Duration::from_millis(self.random.u64(0..pause))).await;
        }
        self.done
    }

    async fn act(&mut self, act: Act) {
        let result = match act {
            Act::Charge { first, size } => self.charge(first, size).await,
            Act::Hold(number) => self.hold(number).await,
            Act::Release(number) => self.release(number).await,
            Act::Gift(number) => self.gift(number).await,
            Act::Buy(number) => self.buy(number).await,
            Act::AddASeat => self.add_a_seat().await,
            Act::Restart => {
                self.store.enrichment_restart(&self.team, prices(), self.now()).await.map(drop)
            }
            Act::Look => self.store.projection_read(&self.team, self.now()).await.map(drop),
        };
        match result {
            Ok(())
            | Err(
                Error::InsufficientCredits { .. }
                | Error::HoldExceeded { .. }
                | Error::HoldClosed(_)
                | Error::EnrichmentPaused
                | Error::NothingToRestart
                | Error::NotFound(Resource::Hold)
                // The caller may retry.
                | Error::Busy,
            ) => {}
            Err(error) => panic!("{act:?}: {error:?}"),
        }
    }

    fn take(&mut self, outcome: EntryResult) -> Result<(), Error> {
        match outcome {
            EntryResult::Created(entry) => self.done.push(entry.source()),
            EntryResult::Replayed(_) => {}
            EntryResult::Refused(error) => {
                if let Error::InsufficientCredits { balance, required }
                | Error::HoldExceeded { remaining: balance, required } = error
                {
                    assert!(balance < required, "refused although {balance} cover {required}");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns a charge to the pool for numbers below 60, else a capture.
    fn entry(&self, number: u8) -> Entry {
        let (action, outcome) = [
            ("email_finder", "risky"),
            ("linkedin_enrichment", "found"),
            ("email_finder", "not_found"),
            ("phone_finder", "valid"),
            ("sms", "sent"),
        ][usize::from(number % 5)];
        let entry = charge_of(&self.team, key(number.into()), action, outcome);
        let entry = Entry { at: self.now(), ..entry };
        if number < 60 {
            return entry;
        }
        capture(entry, &hold_id(&self.team, 100 + u16::from(number) % 6))
    }

    async fn charge(&mut self, first: u8, size: u8) -> Result<(), Error> {
        let entries = (first..first + size).map(|number| self.entry(number % 90)).collect();
        let mut result = Ok(());
        for outcome in self.store.charge(&self.team, entries, self.now()).await {
            result = self.take(outcome).and(result);
        }
        result
    }

    async fn hold(&mut self, number: u8) -> Result<(), Error> {
        let (credits, seconds) = (30 + 11 * u32::from(number), 1 + number);
        let body = format!(r#"{{"credits":{credits},"expires_in":{seconds}}}"#);
        let request: HoldRequest = serde_json::from_str(&body).unwrap();
        let user = "u".parse().unwrap();
        let entry = request.entry(&self.team, key(100 + u16::from(number)), user, self.now())?;
        let outcome = self.store.hold_take(entry, self.now()).await?;
        self.take(outcome)
    }

    async fn release(&mut self, number: u8) -> Result<(), Error> {
        let by = Release { key: key(120 + u16::from(number)), user: "u".parse().unwrap() };
        let hold = hold_id(&self.team, 100 + u16::from(number));
        self.store.hold_release(&self.team, &hold, &by, self.now()).await.map(drop)
    }

    async fn gift(&mut self, number: u8) -> Result<(), Error> {
        let gift = GiftRequest { credits: Credits::new(7 + u64::from(number)), reference: None };
        let gift =
            gift.entry(&self.team, key(140 + u16::from(number)), "u".parse().unwrap(), self.now())?;
        let outcome = self.store.gift_add(gift).await?;
        self.take(outcome)
    }

    async fn buy(&mut self, number: u8) -> Result<(), Error> {
        let (user, credits) = ("u".parse().unwrap(), Credits::new(50));
        let purchase = Purchase::new(
            &self.team,
            key(160 + u16::from(number)),
            user,
            prices().offer(credits).unwrap(),
            self.now(),
        );
        let (begun, _) = self.store.purchase_begin(&purchase).await?;
        self.store.purchase_settle(&begun, self.now()).await.map(drop)
    }

    async fn add_a_seat(&mut self) -> Result<(), Error> {
        let request = r#"{"plan":"multichannel_expert","seats":2}"#;
        let request = serde_json::from_str(request).unwrap();
        let now = self.now();
        self.store
            .terms_change(&self.team, now, |pool| pool.subscribe(&request, &catalogue(), now))
            .await
            .map(drop)
    }
}

async fn live(world: World, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = world.store();
    let team = team_with(&store, "t", random.choice([0, 300, 3_000, 6_000]).unwrap()).await;
    world.set_faults(Faults::MANY);
    // Two workers start in one process.
    let shared = process(&world, &mut random);
    let workers = (0..WORKERS).map(|number| {
        let process = if number < 2 { shared.clone() } else { process(&world, &mut random) };
        tokio::spawn(Worker::new(&world, process, &team, seed * WORKERS + number).live())
    });
    let mut done: HashMap<String, u32> = HashMap::new();
    for worker in join_all(workers).await {
        for source in worker.unwrap() {
            *done.entry(source).or_default() += 1;
        }
    }
    assert!(done.values().all(|count| *count == 1), "seed {seed}: applied twice: {done:?}");
    let lane_moves = store.pool_current(&team, world.now()).await.map_or(0, |pool| pool.lane_moves);
    LANE_MOVES.fetch_add(lane_moves, Ordering::Relaxed);

    // Holds and lanes have expired and the cycle has ended. Every request is sent once more.
    world.set_faults(Faults::NONE);
    sleep(Duration::from_secs(30)).await;
    let mut late = Worker::new(&world, process(&world, &mut random), &team, seed);
    for first in (0..90).step_by(15) {
        late.act(Act::Charge { first, size: 15 }).await;
    }
    for number in 0..6 {
        late.act(Act::Release(number)).await;
        late.act(Act::Gift(number % 4)).await;
        late.act(Act::Buy(number % 4)).await;
    }
    assert!(
        late.done.iter().all(|source| !done.contains_key(source)),
        "seed {seed}: applied again"
    );
    sleep(Duration::from_secs(30)).await;
    Box::pin(check(&store, &team, world.now(), seed, done.keys().chain(&late.done))).await;
}

/// Checks the state after a run.
async fn check(
    store: &Store,
    team: &TeamId,
    now: Time,
    seed: u64,
    mut done: impl Iterator<Item = &String>,
) {
    let computed = store.projection_read(team, now).await.unwrap();
    store.team_upkeep(team, now).await.unwrap();
    let pool = store.projection_read(team, now).await.unwrap().pool;
    assert_eq!(
        computed.pool.balance, pool.balance,
        "seed {seed}: the written state equals the computed state"
    );
    assert_eq!((pool.held, pool.lanes), (Credits::ZERO, Credits::ZERO), "seed {seed}");

    let history = store.history_list(team, &Selection::default(), None, 100_000).await.unwrap();
    let (entries, next) = (history.entries, history.next);
    assert!(next.is_none());
    let mut times: HashMap<String, u32> = HashMap::new();
    for entry in &entries {
        *times.entry(entry.source()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "seed {seed}: {times:?}");
    assert!(
        done.all(|source| times.contains_key(source)),
        "seed {seed}: acknowledged without an entry"
    );

    let of = |kind: Kind| {
        let entries = entries.iter().filter(move |entry| entry.kind() == kind);
        entries.map(|entry| entry.credits).sum::<i64>()
    };
    let credits: i64 = entries.iter().map(|entry| entry.credits).sum();
    assert_eq!(
        credits,
        pool.balance.credits.gained(),
        "seed {seed}: the ledger adds up to the balance"
    );
    let moved: i64 = entries.iter().map(|entry| entry.held).sum();
    assert_eq!(moved, 0, "seed {seed}: no credits remain in holds");
    let granted = of(Kind::Grant);
    assert!([800, 1_200, 1_600].contains(&granted), "seed {seed}: the grants are {granted}");
    let bought = of(Kind::Gift) + of(Kind::Purchase);
    let spent = -(of(Kind::Charge) + of(Kind::Capture));
    let purchased = pool.balance.purchased().gained();
    assert!(purchased <= bought, "seed {seed}: more purchased credits than bought");
    assert!(
        bought - purchased <= spent,
        "seed {seed}: purchased credits decrease by spending only"
    );
    check_captures(store, &entries, seed).await;
}

/// Checks that the captures of each hold sum to its captured credits and never exceed the hold.
async fn check_captures(store: &Store, entries: &[Entry], seed: u64) {
    for entry in entries.iter().filter(|entry| entry.kind() == Kind::Hold) {
        let id = entry.hold().cloned().unwrap();
        let is_capture =
            |other: &&Entry| other.kind() == Kind::Capture && other.hold() == entry.hold();
        let captured: i64 = entries.iter().filter(is_capture).map(|capture| -capture.credits).sum();
        let (hold, _) = store.hold_read(&entry.team, &id).await.unwrap();
        assert_eq!(captured, hold.captured.gained(), "seed {seed}: {hold:?}");
        assert!(hold.captured <= hold.credits, "seed {seed}: {hold:?}");
    }
}

#[test]
fn each_request_applies_once_and_the_ledger_adds_up() {
    const THREADS: usize = 2;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in seeds(DEFAULT).skip(thread).step_by(THREADS) {
                    let run = async |world| Box::pin(live(world, seed)).await;
                    simulator::run(seed, Faults::NONE, BEGIN.parse().unwrap(), run).unwrap();
                }
            });
        }
    });
    let runs = u64::try_from(seeds(DEFAULT).count()).unwrap();
    let moves = LANE_MOVES.load(Ordering::Relaxed);
    assert!(runs < 50 || moves > runs, "{moves} lanes opened or closed in {runs} runs");
}
