//! All operations at once in a simulation with faults: calls are rejected, throttled, in conflict,
//! or their answers are lost; processes are stopped at any await and restart without state;
//! requests are sent twice at once, and again after holds have expired and the cycle has ended;
//! clocks differ between processes; messages of the billing system race. No request takes effect twice,
//! and the ledger adds up.
//!
//! Accounts are monitored, and the schedule runs.
//!
//! In a long life, hundreds of holds are open, and a long series of seats is added, each after the free
//! credits of the one before were spent.
//!
//! `SEEDS=10000 cargo test -p model seeds` runs more seeds; `SEEDS=17..18` repeats one.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use engine::prices;
use futures_util::future::join_all;
use serde_json::json;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{AccountId, TeamId};
use shared::domain::ledger::entry::{Details, Entry, Kind, OfCycle};
use shared::domain::pool::Pool;
use shared::domain::pool::usage::Usage;
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::time::Time;
use shared::domain::{Credits, Error, Resource};
use shared::lambda::App;
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::Release;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::process::{process, run_for_polls, seeds};
use crate::support::relay::reported;
use crate::support::teams::{capture, charge_of, hold_id, key, team_with, with_quantity};

/// The first cycle of a team that began on 10 January ends a few seconds after this.
const BEGIN: &str = "2027-02-09T23:59:55Z";

/// The start of half of the long lives. The cycle does not end in them.
const WITHIN_CYCLE: &str = "2027-01-20T00:00:00Z";

/// The seeds that run by default.
const DEFAULT: Range<u64> = 0..50;

const WORKERS: u64 = 4;

/// One of this many lives is long.
const ONE_IS_LONG: u64 = 25;

/// The number of opened and returned lanes in all runs.
static LANE_MOVES: AtomicU64 = AtomicU64::new(0);

/// The most open holds in a run.
static OPEN_HOLDS: AtomicU64 = AtomicU64::new(0);

/// The most grants in a run before all requests are sent once more.
static GRANTS: AtomicU64 = AtomicU64::new(0);

/// An action. A number identifies one request, so the same number is the same request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Charge {
        first: u16,
        size: u16,
    },
    Holds {
        first: u16,
        size: u16,
    },
    Release(u16),
    Gift(u16),
    Buy(u16),
    /// Delivers the message with this version.
    Message(u16),
    /// Delivers the next message after the credits of a seat were spent.
    Seat,
    Restart,
    /// Starts the monitoring of an account.
    Monitor(u16),
    StopMonitoring(u16),
    RunSchedule,
    Look,
}

/// The size of a life. Requests have numbers from 0 on.
#[derive(Clone, Debug)]
struct Life {
    is_long: bool,
    /// The number of actions of each worker.
    steps: u32,
    /// The number of holds.
    holds: u16,
    /// The number of messages, and the version of the newest.
    messages: u16,
    /// The version of the newest message that was delivered to add a seat.
    seat: Arc<AtomicU16>,
}

impl Life {
    fn of(seed: u64) -> Self {
        let is_long = seed % ONE_IS_LONG == ONE_IS_LONG - 1;
        let (steps, holds, messages) = if is_long { (20, 900, 50) } else { (14, 6, 6) };
        Self { is_long, steps, holds, messages, seat: Arc::default() }
    }

    fn act(&self, random: &mut fastrand::Rng) -> Act {
        let hold = random.u16(0..self.holds);
        let newest = if self.is_long { self.seat.load(Ordering::Relaxed) } else { self.messages };
        let message = random.u16(0..self.messages.min(newest).max(1)) + 1;
        match random.u8(0..24) {
            0..=1 if self.is_long => Act::Holds { first: hold, size: 100 },
            2..=10 if self.is_long => Act::Seat,
            0..=10 => Act::Charge { first: random.u16(0..90), size: random.u16(1..4) },
            11..=13 => Act::Holds { first: hold, size: 1 },
            14 => Act::Release(hold),
            15 => Act::Gift(random.u16(0..4)),
            16 => Act::Buy(random.u16(0..4)),
            17 => Act::Message(message),
            18 => Act::Restart,
            19..=20 => Act::Monitor(random.u16(0..ACCOUNTS)),
            21 => Act::StopMonitoring(random.u16(0..ACCOUNTS)),
            22 => Act::RunSchedule,
            _ => Act::Look,
        }
    }

    /// The seats of the message with this version: in a long life each message adds one.
    fn seats(&self, version: u16) -> u32 {
        if self.is_long { version.into() } else { 1 + u32::from(version % 2) }
    }

    /// The message with this version. The newest is a subscription to `multichannel_expert`.
    fn message(&self, version: u16) -> Vec<u8> {
        let seats = self.seats(version);
        let (kind, detail) = match self.messages - version {
            2 => ("subscription.cancelled", json!({ "team": "t", "version": version })),
            left => {
                let plan = if left == 4 { "enterprise" } else { "multichannel_expert" };
                let detail =
                    json!({ "team": "t", "version": version, "plan": plan, "seats": seats });
                ("subscription.changed", detail)
            }
        };
        json!({ "detail-type": kind, "detail": detail }).to_string().into_bytes()
    }
}

/// A client in a process that is replaced by a new one when it is stopped.
struct Worker {
    world: World,
    life: Life,
    process: App,
    team: TeamId,
    random: fastrand::Rng,
    /// The sources of the entries that were acknowledged as new.
    done: Vec<String>,
}

impl Worker {
    fn new(world: &World, life: &Life, process: App, team: &TeamId, seed: u64) -> Self {
        Self {
            world: world.clone(),
            life: life.clone(),
            process,
            team: team.clone(),
            random: fastrand::Rng::with_seed(seed),
            done: Vec::new(),
        }
    }

    fn now(&self) -> Time {
        self.process.clock.now()
    }

    async fn live(mut self) -> Vec<String> {
        for _ in 0..self.life.steps {
            let act = self.life.act(&mut self.random);
            let polls = if self.random.u8(0..5) == 0 { self.random.u32(1..40) } else { u32::MAX };
            if run_for_polls(polls, Box::pin(self.act(act))).await.is_none() {
                self.process = process(&self.world, &mut self.random);
            }
            let pause = if self.random.u8(0..6) == 0 { 2_500 } else { 60 };
            sleep(Duration::from_millis(self.random.u64(0..pause))).await;
        }
        self.done
    }

    async fn act(&mut self, act: Act) {
        let result = match act {
            Act::Charge { first, size } => self.charge(first, size).await,
            Act::Holds { first, size } => self.holds(first, size).await,
            Act::Release(number) => self.release(number).await,
            Act::Gift(number) => self.gift(number).await,
            Act::Buy(number) => self.buy(number).await,
            Act::Message(version) => self.deliver(version).await,
            Act::Seat => self.add_a_seat().await,
            Act::Restart => {
                let restarted =
                    self.process.store.enrichment_restart(&self.team, prices(), self.now());
                restarted.await.map(drop)
            }
            Act::Monitor(number) => self.monitor(number).await,
            Act::StopMonitoring(number) => {
                let (store, now) = (&self.process.store, self.now());
                store.monitored_account_remove(&self.team, &account(number), now).await.map(drop)
            }
            Act::RunSchedule => {
                refill::run(&self.process, None).await;
                Ok(())
            }
            Act::Look => self.look().await,
        };
        match result {
            Ok(())
            | Err(
                Error::InsufficientCredits { .. }
                | Error::HoldExceeded { .. }
                | Error::HoldClosed(_)
                | Error::EnrichmentPaused
                | Error::NothingToRestart
                | Error::NotFound(Resource::Hold | Resource::MonitoredAccount)
                // The caller may retry.
                | Error::Busy,
            ) => {}
            Err(error) => panic!("{act:?}: {error:?}"),
        }
    }

    fn take(&mut self, result: EntryResult) -> Result<(), Error> {
        match result {
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
    fn entry(&self, number: u16) -> Entry {
        let (action, outcome) = [
            ("email_finder", "risky"),
            ("linkedin_enrichment", "found"),
            ("email_finder", "not_found"),
            ("phone_finder", "valid"),
            ("sms", "sent"),
        ][usize::from(number % 5)];
        let entry = charge_of(&self.team, key(number), action, outcome);
        let entry = Entry { at: self.now(), ..entry };
        if number < 60 {
            return entry;
        }
        capture(entry, &hold_id(&self.team, HOLDS + number * 7 % self.life.holds))
    }

    async fn charge(&mut self, first: u16, size: u16) -> Result<(), Error> {
        let entries = (first..first + size).map(|number| self.entry(number % 90)).collect();
        self.charge_all(entries).await
    }

    async fn charge_all(&mut self, entries: Vec<Entry>) -> Result<(), Error> {
        let results = self.process.store.charge(&self.team, entries, self.now()).await;
        // Each is taken, also after a failed one.
        results.into_iter().map(|result| self.take(result)).fold(Ok(()), Result::and)
    }

    /// Takes holds, a third of them sized by actions.
    async fn holds(&mut self, first: u16, size: u16) -> Result<(), Error> {
        let mut result = Ok(());
        for number in first..first + size {
            result = self.hold(number % self.life.holds).await.and(result);
        }
        self.look().await.and(result)
    }

    async fn hold(&mut self, number: u16) -> Result<(), Error> {
        let expires_in = if self.life.is_long { 8 + number % 20 } else { 1 + number };
        let mut body = match number % 3 {
            1 => json!({ "leads": 3, "actions": ["email_finder", "linkedin_enrichment"] }),
            _ if self.life.is_long => json!({ "credits": 1 + number % 20 }),
            _ => json!({ "credits": 30 + 11 * number }),
        };
        body["expires_in"] = json!(expires_in);
        let request: HoldRequest = serde_json::from_value(body).unwrap();
        let user = "u".parse().unwrap();
        let entry = request.entry(&self.team, key(HOLDS + number), user, self.now())?;
        let result = self.process.store.hold_take(entry.sized(prices())?, self.now()).await?;
        self.take(result)
    }

    async fn monitor(&self, number: u16) -> Result<(), Error> {
        let (store, now) = (&self.process.store, self.now());
        let id = account(number);
        Box::pin(store.monitored_account_add(&self.team, &id, prices(), now)).await.map(drop)
    }

    async fn look(&self) -> Result<(), Error> {
        let view = self.process.store.projection_read(&self.team, self.now()).await?;
        OPEN_HOLDS.fetch_max(u64::try_from(view.holds.len()).unwrap(), Ordering::Relaxed);
        Ok(())
    }

    async fn release(&mut self, number: u16) -> Result<(), Error> {
        let by = Release { key: key(RELEASES + number), user: "u".parse().unwrap() };
        let hold = hold_id(&self.team, HOLDS + number);
        self.process.store.hold_release(&self.team, &hold, &by, self.now()).await.map(drop)
    }

    async fn gift(&mut self, number: u16) -> Result<(), Error> {
        let gift = GiftRequest { credits: Credits::new(7 + u64::from(number)), reference: None };
        let gift = gift.entry(&self.team, key(GIFTS + number), "u".parse().unwrap(), self.now())?;
        let result = self.process.store.gift_add(gift).await?;
        self.take(result)
    }

    async fn buy(&mut self, number: u16) -> Result<(), Error> {
        let (user, credits) = ("u".parse().unwrap(), Credits::new(50));
        let purchase = Purchase::new(
            &self.team,
            key(PURCHASES + number),
            user,
            prices().offer(credits).unwrap(),
            self.now(),
        );
        let (begun, _) = self.process.store.purchase_begin(&purchase).await?;
        self.process.store.purchase_settle(&begun, self.now()).await.map(drop)
    }

    async fn deliver(&self, version: u16) -> Result<(), Error> {
        team::apply_message(&self.process, &self.life.message(version)).await.map(drop)
    }

    async fn add_a_seat(&mut self) -> Result<(), Error> {
        let seat = self.life.seat.fetch_add(1, Ordering::Relaxed) + 1;
        let version = seat.min(self.life.messages);
        let charge = charge_of(&self.team, key(SPENT + version), "linkedin_enrichment", "found");
        let charge = with_quantity(Entry { at: self.now(), credits: -410, ..charge }, 410);
        self.charge_all(vec![charge]).await?;
        self.deliver(version).await
    }
}

/// The first number of each kind of request. The numbers of charges begin at 0.
const GIFTS: u16 = 140;
const PURCHASES: u16 = 160;
const SPENT: u16 = 200;
const HOLDS: u16 = 1_000;
const RELEASES: u16 = 2_000;

/// The number of accounts that may be monitored.
const ACCOUNTS: u16 = 3;

fn account(number: u16) -> AccountId {
    format!("account-{number}").parse().unwrap()
}

async fn live(world: World, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (life, store) = (Life::of(seed), world.store());
    let purchased = random.choice([0, 300, 3_000, 6_000]).unwrap();
    let team = team_with(&store, "t", if life.is_long { 30_000 } else { purchased }).await;
    world.set_faults(Faults::MANY);
    // Two workers start in one process.
    let shared = process(&world, &mut random);
    let workers = (0..WORKERS).map(|number| {
        let process = if number < 2 { shared.clone() } else { process(&world, &mut random) };
        let worker = Worker::new(&world, &life, process, &team, seed * WORKERS + number);
        tokio::spawn(worker.live())
    });
    let mut done: HashMap<String, u32> = HashMap::new();
    for worker in join_all(workers).await {
        for source in worker.unwrap() {
            *done.entry(source).or_default() += 1;
        }
    }
    assert!(done.values().all(|count| *count == 1), "seed {seed}: applied twice: {done:?}");
    let (lane_moves, grants) = store
        .pool_current(&team, world.now())
        .await
        .map_or((0, 0), |pool| (pool.lane_moves, pool.epoch));
    LANE_MOVES.fetch_add(lane_moves, Ordering::Relaxed);
    GRANTS.fetch_max(grants, Ordering::Relaxed);

    // Holds and lanes have expired and the cycle has ended. Every request is sent once more.
    world.set_faults(Faults::NONE);
    sleep(Duration::from_secs(30)).await;
    let process = process(&world, &mut random);
    let mut late = Worker::new(&world, &life, process, &team, seed);
    for first in (0..90).step_by(15) {
        late.act(Act::Charge { first, size: 15 }).await;
    }
    for number in (0..life.holds).step_by(usize::from(life.holds / 6)) {
        late.act(Act::Release(number)).await;
        late.act(Act::Gift(number % 4)).await;
        late.act(Act::Buy(number % 4)).await;
    }
    for version in 1..=life.messages {
        late.act(Act::Message(version)).await;
    }
    for number in 0..ACCOUNTS {
        late.act(Act::Monitor(number)).await;
    }
    late.act(Act::RunSchedule).await;
    assert!(
        late.done.iter().all(|source| !done.contains_key(source)),
        "seed {seed}: applied again"
    );
    sleep(Duration::from_secs(30)).await;
    Box::pin(check(&world, &team, seed, done.keys().chain(&late.done))).await;
}

/// Checks the state after a run.
async fn check(world: &World, team: &TeamId, seed: u64, mut done: impl Iterator<Item = &String>) {
    let (store, now) = (&world.store(), world.now());
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
    check_subscription(&pool, &entries, seed);
    let bought = of(Kind::Gift) + of(Kind::Purchase);
    let spent = -(of(Kind::Charge) + of(Kind::Capture));
    let purchased = pool.balance.purchased().gained();
    assert!(purchased <= bought, "seed {seed}: more purchased credits than bought");
    assert!(
        bought - purchased <= spent,
        "seed {seed}: purchased credits decrease by spending only"
    );
    check_captures(store, &entries, seed).await;
    check_accounts(store, team, &entries, seed).await;
    check_usage(world, &pool, &entries, seed).await;
}

/// Checks that the newest message determines the subscription, and that each seat was granted once in
/// the current cycle.
fn check_subscription(pool: &Pool, entries: &[Entry], seed: u64) {
    let (terms, life) = (&pool.terms, Life::of(seed));
    let current = terms.subscription.as_ref().unwrap();
    assert_eq!(
        (current.plan.as_str(), current.seats, current.cancelled, terms.version()),
        ("multichannel_expert", life.seats(life.messages), false, Some(life.messages.into())),
        "seed {seed}"
    );
    let of_cycle = |entry: &&Entry| matches!(&entry.details, Details::Grant(OfCycle { epoch, .. }) if *epoch >= terms.reset_epoch);
    let grants: Vec<i64> = entries.iter().filter(of_cycle).map(|entry| entry.credits).collect();
    let granted = 400 * i64::from(current.granted_seats);
    assert_eq!(grants.iter().sum::<i64>(), granted, "seed {seed}: {grants:?}");
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

/// Checks that the one month of each monitored account was charged once. A life ends before the second month begins.
async fn check_accounts(store: &Store, team: &TeamId, entries: &[Entry], seed: u64) {
    let mut charged: BTreeMap<&AccountId, u32> = BTreeMap::new();
    for account in entries.iter().filter_map(|entry| entry.charged()?.account.as_ref()) {
        *charged.entry(account).or_default() += 1;
    }
    let accounts = store.monitored_account_list(team).await.unwrap();
    let monitored = accounts.iter().map(|account| (&account.id, 1)).collect();
    assert_eq!(charged, monitored, "seed {seed}");
}

/// Checks that the counters of all cycles are the sums of the charges and captures. The relay stores those of the ended
/// cycles as statements.
async fn check_usage(world: &World, pool: &Pool, entries: &[Entry], seed: u64) {
    let mut records = world.records().unwrap();
    loop {
        let batch = records.read().unwrap();
        if batch.is_empty() {
            break;
        }
        assert_eq!(reported(world, &batch).await.unwrap(), [""; 0], "seed {seed}");
    }
    let mut counted = pool.used.clone();
    for statement in world.store().statement_list(&pool.team, None).await.unwrap() {
        counted.merge(&statement.used).unwrap();
    }
    let ledger: Vec<Entry> =
        entries.iter().map(|entry| entry.clone().priced(prices()).unwrap()).collect();
    assert_eq!(counted, Usage::of(&ledger).unwrap(), "seed {seed}");
}

#[test]
fn each_request_applies_once_and_the_ledger_adds_up() {
    const THREADS: usize = 2;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in seeds(DEFAULT).skip(thread).step_by(THREADS) {
                    let is_within = Life::of(seed).is_long && seed % 2 == 1;
                    let begin = if is_within { WITHIN_CYCLE } else { BEGIN };
                    let run = async |world| Box::pin(live(world, seed)).await;
                    simulator::run_with_stream(seed, Faults::NONE, begin.parse().unwrap(), run)
                        .unwrap();
                }
            });
        }
    });
    let runs = u64::try_from(seeds(DEFAULT).count()).unwrap();
    let moves = LANE_MOVES.load(Ordering::Relaxed);
    assert!(runs < 50 || moves > runs, "{moves} lanes opened or closed in {runs} runs");
    let [holds, grants] = [&OPEN_HOLDS, &GRANTS].map(|most| most.load(Ordering::Relaxed));
    println!("{moves} lane moves, {holds} open holds, {grants} grants");
    assert!(runs < 50 || holds > 200 && grants > 20, "{holds} open holds, {grants} grants");
}
