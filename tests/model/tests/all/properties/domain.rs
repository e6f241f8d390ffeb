//! The pure domain against the reference. No store is involved, so many runs fit into a second.

use proptest::prelude::*;
use shared::domain::time::Time;

use crate::support::domain_team::Team;
use crate::support::operations::Operation;
use crate::support::reference::{BEGIN, Reference};
use crate::support::strategies::{life, long_life, long_runner, runner};

fn check(life: &[Operation]) -> Result<(), TestCaseError> {
    let mut reference = Reference::new(BEGIN);
    let mut team = Team::new();
    for operation in life {
        let expected = reference.apply(operation);
        let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
        prop_assert_eq!(team.apply(operation, now), expected, "{:?}", operation);
        prop_assert_eq!(team.see(now), reference.see(), "after {:?}", operation);
        prop_assert_eq!(&team.statements, &reference.statements, "after {:?}", operation);
    }
    Ok(())
}

#[test]
fn the_domain_agrees_with_the_reference() {
    runner(48).run(&life(), |life| check(&life)).unwrap();
}

#[test]
fn the_domain_agrees_with_the_reference_in_long_lives() {
    long_runner(48).run(&long_life(), |life| check(&life)).unwrap();
}
