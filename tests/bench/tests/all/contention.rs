//! The figures of the contention benchmark, which are the same on every machine.

use std::time::Duration;

use bench::PRICE;
use bench::contention::{Design, Figures, Load, is_exact, measure};

const RICH: u64 = 10_000_000;

fn lanes(writers: usize, batch: usize, seconds: u64) -> Figures {
    let load = Load { design: Design::Lanes, writers, batch, seconds, credits: RICH };
    let figures = measure(load, 1);
    assert!(is_exact(load, &figures), "{figures:?}");
    assert_eq!(figures.refused, 0, "{figures:?}");
    // Hundreds that begin at the same instant may keep one of them waiting for five seconds.
    assert!(figures.busy * 10_000 <= figures.charged, "{figures:?}");
    figures
}

#[test]
fn sixty_four_writers() {
    let design = Design::OneTransaction;
    let load = Load { design, writers: 64, batch: 1, seconds: 4, credits: RICH };
    let (ours, plain) = (lanes(64, 1, 4), measure(load, 1));
    assert!(ours.rate >= 4_000, "{}: {ours:?}", ours.rate);
    assert!(ours.p99 < Duration::from_millis(50), "{ours:?}");
    assert!(is_exact(load, &plain), "{plain:?}");
    assert!((60..150).contains(&plain.rate), "{}: {plain:?}", plain.rate);
    // Next to nothing besides the charge itself: one round trip and five write units.
    assert!(ours.tally.round_trips * 100 <= ours.charged * 110, "{ours:?}");
    assert!(ours.tally.write_units * 100 <= ours.charged * 520, "{ours:?}");
}

#[test]
fn two_hundred_and_fifty_six_writers() {
    let ours = lanes(256, 1, 5);
    assert!(ours.rate >= 8_000, "{}: {ours:?}", ours.rate);
}

#[test]
fn one_writer_of_batches() {
    let ours = lanes(1, 99, 2);
    assert!(ours.rate >= 2_500, "{}: {ours:?}", ours.rate);
}

#[test]
fn one_writer_needs_no_lane() {
    let ours = lanes(1, 1, 2);
    assert_eq!((ours.tally.round_trips, ours.tally.conflicts), (ours.charged, 0), "{ours:?}");
    assert_eq!(ours.tally.write_units, ours.charged * 5, "{ours:?}");
}

/// The balance runs out in the middle: what is accepted is what it covers, nobody is refused before
/// that, and nothing is stranded.
#[test]
fn running_out() {
    for (seed, writers, credits) in [(1, 64, 30_000), (2, 256, 60_000)] {
        let load = Load { design: Design::Lanes, writers, batch: 1, seconds: 6, credits };
        let figures = measure(load, seed);
        assert_eq!(figures.charged * PRICE, load.credits, "{figures:?}");
        assert!(figures.told < Some(PRICE), "{figures:?}");
        assert_eq!((figures.left, figures.in_pool), (0, 0), "{figures:?}");
        assert!(figures.refused > 10, "{figures:?}");
        // Nobody is told so who has not waited for five seconds, next to an empty pool.
        assert!(figures.busy * 50 <= figures.charged, "{figures:?}");
    }
}

#[test]
fn the_same_seed_has_the_same_figures() {
    assert_eq!(lanes(16, 1, 1), lanes(16, 1, 1));
}
