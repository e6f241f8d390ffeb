//! The store with lanes against the reference, which has no lanes.

use std::time::Duration;

use proptest::prelude::*;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::lanes::has_lanes;
use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::stored_team::{apply, verified_state};
use crate::support::strategies::{operations, runner};
use crate::support::teams::now;

/// A third of all transactions is in conflict, so lanes open often; some calls are rejected or
/// throttled.
const BUSY: Faults = Faults { in_conflict: 333, throttled: 150, rejected: 20, ..Faults::NONE };

/// One team and three processes, which are replaced at random. Each operation runs in a random
/// process.
#[test]
fn the_store_with_lanes_agrees_with_the_reference() {
    let taken = std::cell::Cell::new(0_u64);
    // The team has enough credits for lanes, and few enough to run out.
    let rich = (0..4_u16).prop_map(|n| Operation::Purchase { key: 59, credits: 2_000 * (1 + n) });
    let rich = (rich, operations()).prop_map(|(rich, operations)| {
        let plan = Operation::Subscribe { plan: "enterprise", seats: 1, restart: false };
        [vec![plan, rich], operations].concat()
    });
    let tested = runner(3).run(&rich, |operations| {
        let began_at = now();
        simulator::run(operations.len() as u64, BUSY, began_at, async |world| {
            Box::pin(agree(&world, &operations, &taken)).await
        })
        .unwrap()
    });
    tested.unwrap();
    assert!(taken.get() > 10, "lanes were open {} times", taken.get());
}

async fn agree(
    world: &World,
    operations: &[Operation],
    taken: &std::cell::Cell<u64>,
) -> Result<(), TestCaseError> {
    let team: TeamId = "t".parse().unwrap();
    // A batch for many holds needs many writes, each of which may be in conflict.
    let process = || world.store().with_retry_time(Duration::from_mins(1));
    let mut processes = [process(), process(), process()];
    let mut reference = Reference::new(BEGIN);
    for (step, operation) in operations.iter().enumerate() {
        let expected = reference.apply(operation);
        let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
        // Credits added by another process are visible within half a second.
        sleep(Duration::from_millis(500)).await;
        let number = fastrand::usize(0..processes.len());
        if fastrand::u8(0..8) == 0 {
            processes[number] = process();
        }
        let store = &processes[number];
        let answer = Box::pin(apply(store, &team, operation, now)).await;
        prop_assert_eq!(answer, expected, "{:?}", operation);
        world.set_faults(Faults::NONE);
        if matches!(operation, Operation::Wait(_)) {
            // A process that meets conflicts ends a cycle earlier than one that only replays. So
            // the schedule runs whenever time has passed.
            _ = store.team_upkeep(&team, now).await;
            reference.state();
        }
        taken.set(taken.get() + u64::from(has_lanes(world, &team).await));
        world.set_faults(BUSY);
        if step % 15 == 0 || step + 1 == operations.len() {
            prop_assert_eq!(
                verified_state(store, &team, now).await,
                reference.state(),
                "{:?}",
                operation
            );
        }
    }
    Ok(())
}
