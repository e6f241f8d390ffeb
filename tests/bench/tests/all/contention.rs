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

#[test]
fn lanes_serve_64_writers() {
    let design = Design::OneTransaction;
    let load = Load { design, writers: 64, batch: 1, seconds: 4, credits: RICH };
    let (ours, plain) = (lanes(64, 1, 4), measure(load, 1));
    assert!(ours.rate >= 4_000, "{}: {ours:?}", ours.rate);
    assert!(ours.p99 < Duration::from_millis(50), "{ours:?}");
    assert!(is_exact(load, &plain), "{plain:?}");
    assert!((60..150).contains(&plain.rate), "{}: {plain:?}", plain.rate);
    // Little more than the charge itself: one round trip and five write units.
    assert!(ours.tally.round_trips * 100 <= ours.charged * 110, "{ours:?}");
    assert!(ours.tally.write_units * 100 <= ours.charged * 520, "{ours:?}");
}

#[test]
fn lanes_serve_256_writers() {
    let ours = lanes(256, 1, 5);
    assert!(ours.rate >= 8_000, "{}: {ours:?}", ours.rate);
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
    for (seed, writers, credits) in [(1, 64, 30_000), (2, 256, 60_000)] {
        let load = Load { design: Design::Lanes, writers, batch: 1, seconds: 6, credits };
        let figures = measure(load, seed);
        assert_eq!(figures.charged * PRICE, load.credits, "{figures:?}");
        assert!(figures.reported < Some(PRICE), "{figures:?}");
        assert_eq!((figures.left, figures.in_pool), (0, 0), "{figures:?}");
        assert!(figures.refused > 10, "{figures:?}");
        // A charge is answered as busy only after five seconds.
        assert!(figures.busy * 50 <= figures.charged, "{figures:?}");
    }
}

#[test]
fn the_same_seed_has_the_same_figures() {
    assert_eq!(lanes(16, 1, 1), lanes(16, 1, 1));
}
