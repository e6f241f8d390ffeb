//! A team and the processes that charge it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Entry;
use shared::domain::pool::Pool;
use shared::domain::purchase::GiftRequest;
use shared::domain::{Credits, Error};
use shared::lambda::App;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use simulator::World;
use tokio::time::{Instant, sleep, sleep_until};

use super::Scenario;
use super::figures::{Change, Charge, Run};
use crate::support::operations::Size;
use crate::support::process::{SKEW_MS, process, process_with_skew};
use crate::support::teams;
use crate::support::teams::{hold_entry, key_named, subscription, team_with};

/// The time from the start of the simulation to the changes.
pub const LEAD: Duration = Duration::from_secs(5);

/// The load continues for this time after the changes.
pub const TAIL: Duration = Duration::from_secs(1);

/// Every lane expires within this time after the last charge.
const LANES_ARE_OVER: Duration = Duration::from_secs(10);

/// A team. Each operation on it comes from a new process with its own clock.
#[derive(Clone)]
pub struct Team {
    world: World,
    id: TeamId,
    seats: u8,
    charges: Arc<Mutex<Vec<Charge>>>,
}

impl Team {
    /// Opens a team with purchased credits and with `seats` seats, which grant 400 free credits
    /// each.
    async fn open(world: World, seats: u8, purchased: u64) -> Self {
        let id = team_with(&world.store(), "t", purchased).await;
        let team = Self { world, id, seats, charges: Arc::default() };
        team.add_seats(0).await.unwrap();
        team
    }

    fn process(&self) -> App {
        process(&self.world, &mut fastrand::Rng::new())
    }

    /// Sets the number of seats to `more` above the initial number.
    pub async fn add_seats(&self, more: u8) -> Result<(), Error> {
        self.subscribe("multichannel_expert", self.seats + more).await
    }

    pub async fn subscribe(&self, plan: &str, seats: u8) -> Result<(), Error> {
        let App { store, clock, catalogue, .. } = self.process();
        let now = clock.now();
        let request = subscription(plan, seats, false, now);
        store
            .terms_change(&self.id, now, |pool| pool.subscribe(&request, &catalogue, now))
            .await
            .map(drop)
    }

    pub async fn close(&self) -> Result<(), Error> {
        let App { store, clock, .. } = self.process();
        let now = clock.now();
        store.terms_change(&self.id, now, |pool| Ok(pool.close(None, now))).await.map(drop)
    }

    pub async fn give(&self, credits: u64) -> Result<(), Error> {
        let App { store, clock, .. } = self.process();
        let gift = GiftRequest { credits: Credits::new(credits), reference: None };
        let (key, user) = (key_named("more"), "u".parse().unwrap());
        let entry = gift.entry(&self.id, key, user, clock.now())?;
        store.gift_add(entry).await.and_then(result)
    }

    pub async fn hold(&self, credits: u64) -> Result<(), Error> {
        let App { store, clock, .. } = self.process();
        let now = clock.now();
        let held = Credits::new(credits).gained();
        let entry = Entry { held, ..hold_entry(&self.id, 1, Size::Credits(1), 1, now) };
        store.hold_take(entry, now).await.and_then(result)
    }

    pub async fn balance(&self) -> Result<Pool, Error> {
        let App { store, clock, .. } = self.process();
        Ok(store.projection_read(&self.id, clock.now()).await?.pool)
    }

    /// Charges from a process whose clock is ahead of all others.
    pub async fn charge_ahead(&self) -> Result<(), Error> {
        self.charge(&process_with_skew(&self.world, SKEW_MS), "ahead".to_owned()).await
    }

    /// Charges 1 to 5 credits.
    async fn charge(&self, App { store, clock, .. }: &App, key: String) -> Result<(), Error> {
        let (sent, now, credits) = (Instant::now(), clock.now(), fastrand::u64(1..=5));
        let entry = teams::charge(&self.id, &key, "linkedin_enrichment", "found");
        let entry = Entry { at: now, credits: Credits::new(credits).lost(), ..entry };
        let result = store.charge(&self.id, vec![entry], now).await.pop().map_or(Ok(()), result);
        let refused = result.clone().err();
        let charge = Charge { key, credits, sent, answered: Instant::now(), refused };
        self.charges.lock().unwrap().push(charge);
        result
    }

    /// Charges until the load ends or the account is closed.
    async fn write(self, writer: u32, pause: u64, is_over: Arc<AtomicBool>) {
        let process = self.process();
        for number in 0.. {
            sleep(Duration::from_millis(fastrand::u64(0..=2 * pause))).await;
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let charged = self.charge(&process, format!("{writer}/{number}")).await;
            if matches!(charged, Err(Error::AccountClosed)) {
                break;
            }
        }
    }

    fn take_charges(&self) -> Vec<Charge> {
        std::mem::take(&mut self.charges.lock().unwrap())
    }

    async fn ledger(&self) -> Vec<Entry> {
        let (store, all) = (self.world.store(), Selection::default());
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let page = store.history_list(&self.id, &all, after.as_ref(), 10_000).await.unwrap();
            entries.extend(page.entries);
            after = page.next;
            if after.is_none() {
                return entries;
            }
        }
    }
}

fn result(result: EntryResult) -> Result<(), Error> {
    match result {
        EntryResult::Created(_) | EntryResult::Replayed(_) => Ok(()),
        EntryResult::Refused(error) => Err(error),
    }
}

/// The duration of the load before the changes. Afterwards each writer has a lane: the pool opens
/// about a hundred lanes per second.
fn warm_up(writers: u32) -> Duration {
    Duration::from_millis(1_000 + 8 * u64::from(writers))
}

/// The mean pause of a writer between two charges, in milliseconds. All writers together charge up
/// to 500 times per second, five times the rate of a pool without lanes. A higher rate takes too
/// long to simulate.
fn pause(writers: u32) -> u64 {
    if std::env::var("PAUSE").is_ok_and(|pause| pause == "0") { 0 } else { 2 * u64::from(writers) }
}

/// The maximum of credits that the writers spend in a second.
pub fn spent_in_a_second(writers: u32) -> u64 {
    const MEAN_CREDITS: u64 = 3;
    const CHARGE_MS: u64 = 12;
    u64::from(writers) * MEAN_CREDITS * 1_000 / (CHARGE_MS + pause(writers))
}

/// Makes changes to a team while `writers` writers charge it. With an even seed the team has one
/// seat, and its free credits are spent before the changes. With an odd seed it has 200 seats, and
/// free credits remain at the end.
pub async fn run(
    world: World,
    scenario: Scenario,
    writers: u32,
    seed: u64,
    make: impl AsyncFn(&Team) -> Vec<Change>,
) -> Run {
    let begun = Instant::now() + LEAD;
    let seats = if seed.is_multiple_of(2) { 1 } else { 200 };
    let team = Team::open(world, seats, (scenario.purchased)(writers)).await;
    sleep_until(begun - warm_up(writers)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let start =
        |writer| tokio::spawn(team.clone().write(writer, pause(writers), Arc::clone(&is_over)));
    let load: Vec<_> = (0..writers).map(start).collect();
    sleep_until(begun).await;
    let changes = make(&team).await;
    let finished = Instant::now();
    sleep(TAIL).await;
    is_over.store(true, Ordering::Relaxed);
    join_all(load).await.into_iter().for_each(Result::unwrap);

    sleep(LANES_ARE_OVER).await;
    Run {
        scenario,
        writers,
        seed,
        seats,
        changes,
        begun,
        finished,
        charges: team.take_charges(),
        pool: team.balance().await.unwrap(),
        ledger: team.ledger().await,
    }
}
