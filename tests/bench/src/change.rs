//! Changes to a team while many writers charge it, in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::catalogue;
use futures_util::future::join_all;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::store::entry::EntryResult;
use simulator::{Faults, World};
use tokio::time::{Instant, sleep_until};

use crate::{entry, team_with};

/// The load begins at this time after the start of the simulation.
const LOAD: Duration = Duration::from_secs(3);

/// The change is made at this time after the start of the simulation.
const CHANGE: Duration = Duration::from_secs(5);

/// A change to a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A seat is added.
    Seat,
    /// Another plan begins.
    Plan,
    /// The account is closed.
    Close,
    /// The cycle ends; the duration of the first charge after it is measured.
    CycleEnd,
}

/// Returns the duration of a change while `writers` writers charge the team.
///
/// # Errors
/// [`Error::Busy`] if the retry budget is exhausted.
pub fn measure(change: Change, writers: usize, seed: u64) -> Result<Duration, Error> {
    let began_at = match change {
        Change::CycleEnd => "2027-02-09T23:59:55Z",
        Change::Seat | Change::Plan | Change::Close => "2027-01-20T12:00:00Z",
    };
    simulator::run(seed, Faults::NONE, began_at.parse().unwrap(), async |world| {
        Box::pin(live(&world, change, writers)).await
    })
    .unwrap()
}

async fn live(world: &World, change: Change, writers: usize) -> Result<Duration, Error> {
    let start = Instant::now();
    let team = team_with(&world.store(), 5_000_000, world.now()).await;
    let began = r#"{"plan":"multichannel_expert","started_at":"2027-01-10T12:00:00Z"}"#;
    subscribe(world, &team, began).await.unwrap();
    sleep_until(start + LOAD).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let writer =
        |number| tokio::spawn(write(world.clone(), team.clone(), number, Arc::clone(&is_over)));
    let load: Vec<_> = (0..writers).map(writer).collect();
    sleep_until(start + CHANGE).await;
    let asked = Instant::now();
    let result = make(world, &team, change).await;
    let time = asked.elapsed();
    is_over.store(true, Ordering::Relaxed);
    join_all(load).await;
    result.map(|()| time)
}

async fn make(world: &World, team: &TeamId, change: Change) -> Result<(), Error> {
    let (store, now) = (world.store(), world.now());
    match change {
        Change::Seat => subscribe(world, team, r#"{"plan":"multichannel_expert","seats":2}"#).await,
        Change::Plan => subscribe(world, team, r#"{"plan":"enterprise"}"#).await,
        Change::Close => {
            store.terms_change(team, now, |pool| Ok(pool.close(None, now))).await.map(drop)
        }
        Change::CycleEnd => {
            match store.charge(team, vec![entry(team, "first", now)], now).await.pop() {
                Some(EntryResult::Refused(error)) => Err(error),
                Some(EntryResult::Created(_) | EntryResult::Replayed(_)) | None => Ok(()),
            }
        }
    }
}

async fn subscribe(world: &World, team: &TeamId, request: &str) -> Result<(), Error> {
    let (store, now) = (world.store(), world.now());
    let request = serde_json::from_str(request).unwrap();
    store
        .terms_change(team, now, |pool| pool.subscribe(&request, &catalogue(), now))
        .await
        .map(drop)
}

async fn write(world: World, team: TeamId, writer: usize, is_over: Arc<AtomicBool>) {
    let store = world.store();
    for charge in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let entry = entry(&team, &format!("{writer}/{charge}"), world.now());
        store.charge(&team, vec![entry], world.now()).await;
    }
}
