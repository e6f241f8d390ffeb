//! The store with lanes against the reference, which has none.

use std::time::Duration;

use proptest::prelude::*;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use simulator::{Nature, World};
use tokio::time::sleep;

use crate::support::lanes::has_lanes;
use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::stored_team::{apply, sight};
use crate::support::strategies::{life, runner};
use crate::support::teams::now;

/// A third of all transactions meets another, so that lanes are taken all the time; and many a call
/// is not even tried.
const BUSY: Nature = Nature { in_conflict: 333, throttled: 150, turned_away: 20, ..Nature::CALM };

/// One team, three processes that come and go, each operation by any of them: all agree with the
/// reference, which has never heard of lanes.
#[test]
fn lanes_do_not_show() {
    let taken = std::cell::Cell::new(0_u64);
    // Rich enough for lanes, and not too rich to run out.
    let rich = (0..4_u16).prop_map(|n| Operation::Purchase { key: 59, credits: 2_000 * (1 + n) });
    let rich = (rich, life()).prop_map(|(rich, life)| {
        let plan = Operation::Subscribe { plan: "enterprise", seats: 1, restart: false };
        [vec![plan, rich], life].concat()
    });
    let tested = runner(3).run(&rich, |life| {
        let began_at = now();
        simulator::run(life.len() as u64, BUSY, began_at, async |world| {
            Box::pin(agree(&world, &life, &taken)).await
        })
        .unwrap()
    });
    tested.unwrap();
    assert!(taken.get() > 10, "{} lanes were seen", taken.get());
}

async fn agree(
    world: &World,
    life: &[Operation],
    taken: &std::cell::Cell<u64>,
) -> Result<(), TestCaseError> {
    let team: TeamId = "t".parse().unwrap();
    // A batch for many holds is many writes, and each of them may be pushed back.
    let process = || world.store().with_retry_time(Duration::from_mins(1));
    let mut processes = [process(), process(), process()];
    let mut reference = Reference::new(BEGIN);
    for (step, operation) in life.iter().enumerate() {
        let expected = reference.apply(operation);
        let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
        // What another process has added is noticed within half a second.
        sleep(Duration::from_millis(500)).await;
        let number = fastrand::usize(0..processes.len());
        if fastrand::u8(0..8) == 0 {
            processes[number] = process();
        }
        let store = &processes[number];
        let came = Box::pin(apply(store, &team, operation, now)).await;
        prop_assert_eq!(came, expected, "{:?}", operation);
        world.turn(Nature::CALM);
        if matches!(operation, Operation::Wait(_)) {
            // A process that meets conflicts ends a cycle earlier than one that is only asked again for
            // what it has done. So the schedule runs whenever time has passed.
            _ = store.keep_up(&team, now).await;
            reference.see();
        }
        taken.set(taken.get() + u64::from(has_lanes(world, &team).await));
        world.turn(BUSY);
        if step % 15 == 0 || step + 1 == life.len() {
            prop_assert_eq!(sight(store, &team, now).await, reference.see(), "{:?}", operation);
        }
    }
    Ok(())
}
