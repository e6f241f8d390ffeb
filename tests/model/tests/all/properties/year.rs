//! A year of random operations, and the events that the relay publishes for it.

use proptest::prelude::*;
use simulator::Faults;

use crate::support::operations::ClosedCycle;
use crate::support::relay::*;
use crate::support::strategies::{runner, year};
use crate::support::teams::now;
use crate::support::views::closed;
use crate::support::year::live;

/// More than half of all calls fail.
const STORM: Faults = Faults { rejected: 150, throttled: 150, in_conflict: 200, lost: 100 };

#[test]
fn a_year_agrees_with_the_reference_and_its_events() {
    let tested = runner(1).run(&year(), |year| {
        let seed = year.operations.len() as u64;
        let result = simulator::run_with_stream(seed, Faults::NONE, now(), async |world| {
            Box::pin(live(world, &year)).await
        });
        let result = result.unwrap()?;
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let (records, unreadable) = with_unreadable(&result.records);
            for batch in records.chunks(100) {
                let failed = reported(&world, batch).await.unwrap();
                prop_assert!(failed.is_empty(), "{:?} were reported as failed", failed);
            }
            prop_assert_eq!(handed_over(&world), unreadable);
            check_events(&world, &result)
        })
        .unwrap()?;
        simulator::run(seed, STORM, now(), async |world| {
            let mut first = None;
            let (records, unreadable) = with_unreadable(&result.records);
            for _ in 0..2 {
                Box::pin(relay_all(&world, &records)).await;
                prop_assert_eq!(handed_over(&world), unreadable.clone());
                check_events(&world, &result)?;
                let arrived = arrived(&world);
                prop_assert_eq!(&arrived, first.get_or_insert_with(|| arrived.clone()));
            }
            world.set_faults(Faults::NONE);
            let kept = world.store().statement_list(&"t".parse().unwrap(), None).await.unwrap();
            let kept: Vec<ClosedCycle> = kept.iter().map(closed).collect();
            prop_assert_eq!(&kept, &result.reference.statements);
            Ok(())
        })
        .unwrap()
    });
    tested.unwrap();
}
