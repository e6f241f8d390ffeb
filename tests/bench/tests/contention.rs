//! The figures of the contention benchmark, which are the same on every machine.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "a test stops at what it did not expect"
)]

use std::time::Duration;

use bench::contention::{Design, Load, is_exact, measure};

const LANES: Load =
    Load { design: Design::Lanes, writers: 64, batch: 1, seconds: 4, credits: 10_000_000 };

#[test]
fn sixty_four_writers() {
    let lanes = measure(LANES, 1);
    println!("{lanes:?} {}", lanes.rate());
    assert!(is_exact(LANES, &lanes), "{lanes:?}");
    assert!(lanes.p99 < Duration::from_millis(50), "{lanes:?}");
}
