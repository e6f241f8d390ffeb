//! The store, through the real SDK on the embedded engine, against the reference.

use engine::Engine;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;

use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::stored_team::{apply, sight};
use crate::support::strategies::{life, long_life, long_runner, runner};

/// Lives in a store with the reference. Looks at the team after every `looks` operations.
fn check(mut runner: TestRunner, lives: &impl Strategy<Value = Vec<Operation>>, looks: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = runtime.block_on(Engine::in_memory()).unwrap();
    let store = engine.store();
    let teams = std::cell::Cell::new(0_u32);
    let tested = runner.run(lives, |life| {
        teams.set(teams.get() + 1);
        let team: TeamId = format!("t{}", teams.get()).parse().unwrap();
        let mut reference = Reference::new(BEGIN);
        runtime.block_on(async {
            for (step, operation) in life.iter().enumerate() {
                let expected = reference.apply(operation);
                let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
                prop_assert_eq!(
                    apply(&store, &team, operation, now).await,
                    expected,
                    "{:?}",
                    operation
                );
                if step % looks == 0 || step + 1 == life.len() {
                    prop_assert_eq!(
                        sight(&store, &team, now).await,
                        reference.see(),
                        "after {:?}",
                        operation
                    );
                }
            }
            Ok(())
        })
    });
    tested.unwrap();
}

#[test]
fn the_store_agrees_with_the_reference() {
    check(runner(1), &life(), 15);
}

#[test]
fn the_store_agrees_with_the_reference_in_long_lives() {
    check(long_runner(2), &long_life(), 100);
}
