//! The store, through the real SDK on the embedded engine, against the reference.

use engine::Engine;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;

use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::stored_team::{apply, verified_state};
use crate::support::strategies::{long_runner, long_series, operations, runner};

/// Compares the store with the reference after each operation. Compares the whole state after every
/// `period` operations.
fn check(mut runner: TestRunner, inputs: &impl Strategy<Value = Vec<Operation>>, period: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine = runtime.block_on(Engine::in_memory()).unwrap();
    let store = engine.store();
    let teams = std::cell::Cell::new(0_u32);
    let tested = runner.run(inputs, |operations| {
        teams.set(teams.get() + 1);
        let team: TeamId = format!("t{}", teams.get()).parse().unwrap();
        let mut reference = Reference::new(BEGIN);
        runtime.block_on(async {
            for (step, operation) in operations.iter().enumerate() {
                let expected = reference.apply(operation);
                let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
                prop_assert_eq!(
                    apply(&store, &team, operation, now).await,
                    expected,
                    "{:?}",
                    operation
                );
                if step % period == 0 || step + 1 == operations.len() {
                    prop_assert_eq!(
                        verified_state(&store, &team, now).await,
                        reference.state(),
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
    check(runner(1), &operations(), 15);
}

#[test]
fn the_store_agrees_with_the_reference_in_long_series() {
    check(long_runner(2), &long_series(), 100);
}
