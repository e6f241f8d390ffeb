//! Changes to a team while many processes charge it, each with its own clock. A change completes within
//! two seconds, charges continue meanwhile, no covered charge is refused, and the ledger is exact.
//!
//! All times are virtual. A failed test prints the figures of its runs. `SEEDS=20 cargo test -p
//! model team_changes` runs more seeds, `SEEDS=17..18` runs one. With `PAUSE=0` the writers charge
//! without a pause, which takes several times as long.

use std::ops::Range;
use std::time::Duration;

use shared::domain::Error;
use shared::store::CHANGE_MARK_SECONDS;
use simulator::Faults;
use tokio::time::Instant;

use crate::support::process::{SKEW_MS, run_for_polls, seeds};
use crate::support::team_changes::Scenario;
use crate::support::team_changes::figures::Change;
use crate::support::team_changes::load::{self, Team, spent_in_a_second};

/// The numbers of writers and the default seeds of each. `SEEDS` applies to all of them.
const LOADS: [(u32, Range<u64>); 5] = [(8, 0..1), (32, 0..0), (64, 0..0), (128, 0..0), (256, 1..2)];

/// The maximum duration of a change.
const CHANGE_TIME: Duration = Duration::from_secs(2);

/// The maximum difference between the clocks of two processes.
const CLOCK_DIFFERENCE: Duration = Duration::from_millis(2 * SKEW_MS.unsigned_abs());

/// The maximum duration of a change that a stopped process left incomplete. Other processes wait until
/// its mark expires, which is later on a clock that is behind that of the stopped process. Then the
/// change takes the usual time.
const AFTER_A_STOP: Duration = Duration::from_secs(1)
    .saturating_mul(CHANGE_MARK_SECONDS)
    .saturating_add(CLOCK_DIFFERENCE)
    .saturating_add(CHANGE_TIME);

/// A scenario without a grant.
const SCENARIO: Scenario = Scenario {
    began_at: "2027-01-10T12:00:00Z",
    purchased: |_| 5_000_000,
    granted: |_| 0,
    lapses: false,
    closes: false,
    is_stopped: false,
};

const ADDED_SEAT: Scenario = Scenario { granted: |_| 400, ..SCENARIO };

const OTHER_PLAN: Scenario = Scenario { granted: |_| 400, lapses: true, ..SCENARIO };

const CLOSED_ACCOUNT: Scenario = Scenario { closes: true, ..SCENARIO };

/// Makes the changes under each load.
fn check(scenario: Scenario, make: impl AsyncFn(&Team) -> Vec<Change> + Copy) {
    for (writers, default) in LOADS {
        for seed in seeds(default) {
            let began_at = scenario.began_at.parse().unwrap();
            let run = simulator::run(seed, Faults::NONE, began_at, async |world| {
                Box::pin(load::run(world, scenario, writers, seed, make)).await
            });
            let figures = run.unwrap().figures();
            println!("{figures:?}");
            assert!(figures.faults.is_empty(), "the figures list the faults");
        }
    }
}

async fn timed(name: &'static str, change: impl Future<Output = Result<(), Error>>) -> Change {
    let begun = Instant::now();
    let error = Box::pin(change).await.err();
    Change { name, time: begun.elapsed(), time_max: CHANGE_TIME, error }
}

/// Two changes at once. One of them waits for the other, which completes in the usual time.
fn in_turn(one: Change, other: Change) -> [Change; 2] {
    let [first, second] = if one.time <= other.time { [one, other] } else { [other, one] };
    [first, Change { time_max: CHANGE_TIME * 2, ..second }]
}

/// Stops a process at a random await of a change. Measures the time of another process for the same
/// change.
async fn after_a_stop(change: impl AsyncFn() -> Result<(), Error>) -> Vec<Change> {
    let polls = fastrand::u32(1..=1 << fastrand::u32(0..10));
    let is_stopped = run_for_polls(polls, Box::pin(change())).await.is_none();
    let name = if is_stopped { "after a stop" } else { "once more" };
    vec![Change { time_max: AFTER_A_STOP, ..timed(name, change()).await }]
}

#[test]
fn adds_a_seat() {
    check(ADDED_SEAT, async |team| vec![timed("seat", team.add_seats(1)).await]);
}

#[test]
fn changes_the_plan() {
    check(OTHER_PLAN, async |team| vec![timed("plan", team.subscribe("enterprise", 1)).await]);
}

#[test]
fn closes_the_account() {
    check(CLOSED_ACCOUNT, async |team| vec![timed("close", team.close()).await]);
}

#[test]
fn ends_the_cycle() {
    let scenario = Scenario {
        // At the time of the charge the clock that is ahead of all others shows the end of the cycle.
        began_at: "2027-02-09T23:59:54.500Z",
        granted: |seats| 400 * u64::from(seats),
        lapses: true,
        ..SCENARIO
    };
    check(scenario, async |team| vec![timed("first charge", team.charge_ahead()).await]);
}

#[test]
fn holds_nine_tenths_of_the_balance() {
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
fn makes_several_changes_at_once() {
    check(Scenario { granted: |_| 800, ..SCENARIO }, async |team| {
        let (one, two, gift, hold) = tokio::join!(
            timed("one seat more", team.add_seats(1)),
            timed("two seats more", team.add_seats(2)),
            timed("gift", team.give(7_000)),
            timed("hold", team.hold(3_000)),
        );
        let [one, two] = in_turn(one, two);
        vec![one, two, gift, hold]
    });
}

#[test]
fn changes_the_plan_while_a_hold_is_taken() {
    // One change waits for the other. The balance is low afterwards, so lanes stay closed.
    let purchased = |writers| 30 * spent_in_a_second(writers);
    let scenario = Scenario { purchased, ..OTHER_PLAN };
    check(scenario, async |team| {
        let hold = async {
            let credits = team.balance().await?.balance.credits.get();
            Box::pin(team.hold(credits / 10 * 9)).await
        };
        let (plan, hold) = tokio::join!(
            timed("plan", team.subscribe("enterprise", 1)),
            timed("hold", Box::pin(hold)),
        );
        in_turn(plan, hold).into()
    });
}

#[test]
fn adds_a_seat_after_a_process_stopped() {
    let scenario = Scenario { is_stopped: true, ..ADDED_SEAT };
    check(scenario, async |team| after_a_stop(async || team.add_seats(1).await).await);
}

#[test]
fn changes_the_plan_after_a_process_stopped() {
    let scenario = Scenario { is_stopped: true, ..OTHER_PLAN };
    check(scenario, async |team| {
        after_a_stop(async || team.subscribe("enterprise", 1).await).await
    });
}

#[test]
fn closes_the_account_after_a_process_stopped() {
    let scenario = Scenario { is_stopped: true, ..CLOSED_ACCOUNT };
    check(scenario, async |team| after_a_stop(async || team.close().await).await);
}
