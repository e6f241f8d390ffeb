//! Years of a team.

use proptest::prelude::*;
use simulator::Nature;

use crate::support::operations::Closed;
use crate::support::relay::*;
use crate::support::strategies::{runner, year};
use crate::support::teams::now;
use crate::support::views::closed;
use crate::support::year::live;

/// More than half of all calls go wrong.
const STORM: Nature = Nature { turned_away: 150, throttled: 150, in_conflict: 200, lost: 100 };

#[test]
fn a_year_comes_to_what_the_reference_has_and_is_told_of_so() {
    let tested = runner(1).run(&year(), |year| {
        let seed = year.life.len() as u64;
        let lived = simulator::run_with_stream(seed, Nature::CALM, now(), async |world| {
            Box::pin(live(world, &year)).await
        });
        let lived = lived.unwrap()?;
        simulator::run(seed, Nature::CALM, now(), async |world| {
            let (records, unreadable) = with_unreadable(&lived.records);
            for batch in records.chunks(100) {
                let failed = reported(&world, batch).await.unwrap();
                prop_assert!(failed.is_empty(), "{:?} delay the records after them", failed);
            }
            prop_assert_eq!(handed_over(&world), unreadable);
            agree(&world, &lived)
        })
        .unwrap()?;
        simulator::run(seed, STORM, now(), async |world| {
            let mut first = None;
            let (records, unreadable) = with_unreadable(&lived.records);
            for _ in 0..2 {
                Box::pin(relayed(&world, &records)).await;
                prop_assert_eq!(handed_over(&world), unreadable.clone());
                agree(&world, &lived)?;
                let arrived = arrived(&world);
                prop_assert_eq!(&arrived, first.get_or_insert_with(|| arrived.clone()));
            }
            world.turn(Nature::CALM);
            let kept = world.store().statements(&"t".parse().unwrap()).await.unwrap();
            let kept: Vec<Closed> = kept.iter().map(closed).collect();
            prop_assert_eq!(&kept, &lived.reference.statements);
            Ok(())
        })
        .unwrap()
    });
    tested.unwrap();
}
