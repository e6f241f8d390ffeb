//! Changes to a team while many processes charge it. A change takes two seconds at most, the charges
//! go on meanwhile, no charge that the pool covers is refused, and the books are exact.
//!
//! All times are virtual. A test prints the figures of each run, which appear if it fails.
//! `SEEDS=20 cargo test -p model busy_team` runs more seeds, `SEEDS=17..18` runs one. With `PAUSE=0`
//! the writers charge without a pause, which takes several times as long.

mod figures;
mod load;

use std::ops::Range;
use std::time::Duration;

use shared::domain::Error;
use simulator::Nature;
use tokio::time::Instant;

use figures::Change;
use load::{Team, spent_in_a_second};

use crate::support::process::{dies_at, seeds};

/// The numbers of writers, and the seeds that run by default.
const LOADS: [(u32, Range<u64>); 5] = [(8, 0..1), (32, 0..1), (64, 0..1), (128, 1..2), (256, 2..3)];

/// The changes of a run, and the requirements on it.
#[derive(Clone, Copy)]
struct Scenario {
    /// When the world begins. The changes begin [`load::LEAD`] later.
    began_at: &'static str,
    /// The purchased credits of the team, by the number of writers.
    purchased: fn(u32) -> u64,
    /// The free credits that the changes grant, by the number of seats before them.
    granted: fn(u8) -> u64,
    /// Whether the free credits that are left lapse.
    lapses: bool,
    /// Whether the account is closed.
    closes: bool,
    /// The most writers.
    writers_max: u32,
    /// The most time for a change.
    change_time: Duration,
    /// Whether the process that makes the change dies, and another one makes it again. The lanes that
    /// it has returned stay closed, so that hundreds of writers need seconds until each has one again:
    /// some charges are answered as busy, and may be made.
    dies: bool,
}

/// One that grants nothing.
const SCENARIO: Scenario = Scenario {
    began_at: "2027-01-10T12:00:00Z",
    purchased: |_| 5_000_000,
    granted: |_| 0,
    lapses: false,
    closes: false,
    writers_max: 256,
    change_time: Duration::from_secs(2),
    dies: false,
};

const ADDED_SEAT: Scenario = Scenario { granted: |_| 400, ..SCENARIO };

const OTHER_PLAN: Scenario = Scenario { granted: |_| 400, lapses: true, ..SCENARIO };

const CLOSED_ACCOUNT: Scenario = Scenario { closes: true, ..SCENARIO };

/// The most time for a change that another process has left half done: its mark ends after two seconds.
const AFTER_A_DEATH: Duration = Duration::from_secs(7);

/// Makes the changes under each load.
fn check(scenario: Scenario, make: impl AsyncFn(&Team) -> Vec<Change> + Copy) {
    for (writers, default) in LOADS.into_iter().filter(|it| it.0 <= scenario.writers_max) {
        for seed in seeds(default) {
            let began_at = scenario.began_at.parse().unwrap();
            let run = simulator::run(seed, Nature::CALM, began_at, async |world| {
                Box::pin(load::run(world, scenario, writers, seed, make)).await
            });
            let figures = run.unwrap().figures();
            println!("{figures:?}");
            assert!(figures.faults.is_empty(), "the figures tell the faults");
        }
    }
}

async fn timed(name: &'static str, change: impl Future<Output = Result<(), Error>>) -> Change {
    let begun = Instant::now();
    let error = Box::pin(change).await.err();
    Change { name, time: begun.elapsed(), error }
}

/// A process makes a change and dies at a random await. Another process makes the same change, and
/// its time is measured.
async fn after_a_death(change: impl AsyncFn() -> Result<(), Error>) -> Vec<Change> {
    let polls = fastrand::u32(1..=1 << fastrand::u32(0..10));
    let is_dead = dies_at(polls, Box::pin(change())).await.is_none();
    vec![timed(if is_dead { "after a death" } else { "once more" }, change()).await]
}

#[test]
fn a_seat_is_added() {
    check(ADDED_SEAT, async |team| vec![timed("seat", team.add_seats(1)).await]);
}

#[test]
fn the_plan_changes() {
    check(OTHER_PLAN, async |team| vec![timed("plan", team.subscribe("enterprise", 1)).await]);
}

#[test]
fn the_account_is_closed() {
    check(CLOSED_ACCOUNT, async |team| vec![timed("close", team.close()).await]);
}

#[test]
fn the_cycle_ends() {
    let scenario = Scenario {
        began_at: "2027-02-09T23:59:55Z",
        granted: |seats| 400 * u64::from(seats),
        lapses: true,
        ..SCENARIO
    };
    check(scenario, async |team| vec![timed("first charge", team.charge_once()).await]);
}

#[test]
fn a_hold_takes_nine_tenths_of_the_balance() {
    // The last tenth covers the charges of three seconds.
    let scenario = Scenario { purchased: |writers| 30 * spent_in_a_second(writers), ..SCENARIO };
    check(scenario, async |team| {
        let hold = async {
            let credits = team.balance().await?.balance.credits.get();
            Box::pin(team.hold(credits / 10 * 9)).await
        };
        vec![timed("hold", Box::pin(hold)).await]
    });
}

#[test]
fn several_changes_come_at_once() {
    check(Scenario { granted: |_| 800, ..SCENARIO }, async |team| {
        let (one, two, gift, hold) = tokio::join!(
            timed("one seat more", team.add_seats(1)),
            timed("two seats more", team.add_seats(2)),
            timed("gift", team.give(7_000)),
            timed("hold", team.hold(3_000)),
        );
        vec![one, two, gift, hold]
    });
}

#[test]
fn the_plan_changes_while_a_hold_is_taken() {
    // One waits for the other. The balance is low afterwards, so that lanes stay closed.
    let (change_time, writers_max) = (SCENARIO.change_time * 2, 128);
    let purchased = |writers| 30 * spent_in_a_second(writers);
    let scenario = Scenario { purchased, writers_max, change_time, ..OTHER_PLAN };
    check(scenario, async |team| {
        let hold = async {
            let credits = team.balance().await?.balance.credits.get();
            Box::pin(team.hold(credits / 10 * 9)).await
        };
        let (plan, hold) = tokio::join!(
            timed("plan", team.subscribe("enterprise", 1)),
            timed("hold", Box::pin(hold)),
        );
        vec![plan, hold]
    });
}

#[test]
fn a_process_dies_while_it_adds_a_seat() {
    let scenario = Scenario { change_time: AFTER_A_DEATH, dies: true, ..ADDED_SEAT };
    check(scenario, async |team| after_a_death(async || team.add_seats(1).await).await);
}

#[test]
fn a_process_dies_while_it_changes_the_plan() {
    let scenario = Scenario { change_time: AFTER_A_DEATH, dies: true, ..OTHER_PLAN };
    check(scenario, async |team| {
        after_a_death(async || team.subscribe("enterprise", 1).await).await
    });
}

#[test]
fn a_process_dies_while_it_closes_the_account() {
    let scenario = Scenario { change_time: AFTER_A_DEATH, dies: true, ..CLOSED_ACCOUNT };
    check(scenario, async |team| after_a_death(async || team.close().await).await);
}
