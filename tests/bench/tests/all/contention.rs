//! The figures of the contention benchmark.

use std::time::Duration;

use bench::PRICE;
use bench::contention::{Design, Figures, Load, is_exact, measure};

const RICH: u64 = 10_000_000;

fn lanes(writers: usize, batch: usize, seconds: u64) -> Figures {
    let load = Load { design: Design::Lanes, writers, batch, seconds, credits: RICH };
    let figures = measure(load, 1);
    assert!(is_exact(load, &figures), "{figures:?}");
    assert_eq!(figures.refused, 0, "{figures:?}");
    // With hundreds of writers that begin at the same instant, one of them may wait for five
    // seconds.
    assert!(figures.busy * 10_000 <= figures.charged, "{figures:?}");
    figures
}

/// `WRITERS=256` is the load with more writers and twice the rate.
#[test]
fn lanes_serve_many_writers() {
    let writers = std::env::var("WRITERS").map_or(64, |writers| writers.parse().unwrap());
    let ours = lanes(writers, 1, 4);
    let (rate, p99, round_trips, write_units) =
        if writers < 256 { (4_000, 50, 110, 520) } else { (8_000, 500, 120, 560) };
    assert!(ours.rate >= rate, "{}: {ours:?}", ours.rate);
    assert!(ours.p99 < Duration::from_millis(p99), "{ours:?}");
    // Little more than the charge itself: one round trip and five write units.
    assert!(ours.tally.round_trips * 100 <= ours.charged * round_trips, "{ours:?}");
    assert!(ours.tally.write_units * 100 <= ours.charged * write_units, "{ours:?}");
}

#[test]
fn one_item_serves_few_writers_without_lanes() {
    let design = Design::OneTransaction;
    let load = Load { design, writers: 64, batch: 1, seconds: 2, credits: RICH };
    let plain = measure(load, 1);
    assert!(is_exact(load, &plain), "{plain:?}");
    assert!((60..150).contains(&plain.rate), "{}: {plain:?}", plain.rate);
}

#[test]
fn one_writer_charges_batches() {
    let ours = lanes(1, 99, 2);
    assert!(ours.rate >= 2_500, "{}: {ours:?}", ours.rate);
}

#[test]
fn one_writer_needs_no_lane() {
    let ours = lanes(1, 1, 2);
    assert_eq!((ours.tally.round_trips, ours.tally.conflicts), (ours.charged, 0), "{ours:?}");
    assert_eq!(ours.tally.write_units, ours.charged * 5, "{ours:?}");
}

/// The balance runs out during the load. The accepted charges equal the balance, no charge is
/// refused before that, and no credits remain in lanes.
#[test]
fn accepts_exactly_the_charges_that_the_balance_covers() {
    let load = Load { design: Design::Lanes, writers: 64, batch: 1, seconds: 6, credits: 20_000 };
    let figures = measure(load, 2);
    assert_eq!(figures.charged * PRICE, load.credits, "{figures:?}");
    assert!(figures.reported < Some(PRICE), "{figures:?}");
    assert_eq!((figures.left, figures.in_pool), (0, 0), "{figures:?}");
    assert!(figures.refused > 10, "{figures:?}");
    // A charge is answered as busy only after five seconds.
    assert!(figures.busy * 50 <= figures.charged, "{figures:?}");
}

#[test]
fn the_same_seed_has_the_same_figures() {
    assert_eq!(lanes(16, 1, 1), lanes(16, 1, 1));
}
