//! The pure domain against the reference. Without a store, a second has room for many runs.

use proptest::prelude::*;
use shared::domain::time::Time;

use crate::support::domain_team::Team;
use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::strategies::{long_runner, long_series, operations, runner};

fn check(operations: &[Operation]) -> Result<(), TestCaseError> {
    let mut reference = Reference::new(BEGIN);
    let mut team = Team::new();
    for operation in operations {
        let expected = reference.apply(operation);
        let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
        prop_assert_eq!(team.apply(operation, now), expected, "{:?}", operation);
        prop_assert_eq!(team.state(now), reference.state(), "after {:?}", operation);
        prop_assert_eq!(&team.statements, &reference.statements, "after {:?}", operation);
    }
    Ok(())
}

#[test]
fn the_domain_agrees_with_the_reference() {
    runner(48).run(&operations(), |operations| check(&operations)).unwrap();
}

#[test]
fn the_domain_agrees_with_the_reference_in_long_series() {
    long_runner(48).run(&long_series(), |operations| check(&operations)).unwrap();
}
