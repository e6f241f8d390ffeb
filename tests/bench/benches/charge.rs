//! The charge path and two naive designs in one run.
//!
//! `cargo bench -p bench` measures; `cargo test -p bench --benches` only checks that the benchmark
//! runs. Each measurement has a new engine and a pool that covers four fifths of the charges.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark, which stops at what it did not expect"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench::{PRICE, entry, naive, team_with};
use engine::{Engine, Meter};
use futures_util::future::join_all;
use shared::domain::time::Time;
use shared::store::Store;
use shared::store::entry::EntryResult;

#[derive(Clone, Copy)]
enum Design {
    /// One transaction with a condition on the balance.
    Ours,
    /// Read, then write on condition that the version is unchanged, else repeat.
    Versioned,
    /// Read, check, write.
    Plain,
}

impl Design {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "one conditional transaction",
            Self::Versioned => "read, then versioned write",
            Self::Plain => "read, check, write",
        }
    }
}

/// The figures of a measurement.
struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
    /// Per requested charge.
    round_trips: f64,
    /// Per accepted charge.
    write_units: f64,
    accepted: usize,
    covered: usize,
}

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let charges = if is_full { 2_000 } else { 200 };
    println!("{charges} charges of {PRICE} credits, one team, {} covered\n", charges * 4 / 5);
    println!(
        "| clients | design | charges/s | p50 ms | p99 ms | round trips | write units | accepted | overspent |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|--:|--:|");
    for clients in [1, 8, 64] {
        for design in [Design::Ours, Design::Versioned, Design::Plain] {
            let figures = measure(design, clients, charges).await;
            if !matches!(design, Design::Plain) {
                assert_eq!(
                    figures.accepted,
                    figures.covered,
                    "the design {} is exact",
                    design.name()
                );
            }
            print_row(design, clients, &figures);
        }
    }
}

fn print_row(design: Design, clients: usize, figures: &Figures) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {clients} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} credits |",
        design.name(),
        figures.rate,
        milliseconds(figures.p50),
        milliseconds(figures.p99),
        figures.round_trips,
        figures.write_units,
        figures.accepted,
        figures.accepted.saturating_sub(figures.covered) as u64 * PRICE,
    );
}

async fn measure(design: Design, clients: usize, charges: usize) -> Figures {
    let engine = Engine::in_memory().await.unwrap();
    let covered = charges * 4 / 5;
    let team = team_with(&engine.store(), covered as u64 * PRICE, now()).await;
    // Each client is a separate process in production, so it has a connection of its own.
    let meters: Vec<Meter> = (0..clients).map(|_| Meter::default()).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let running = meters.iter().map(|meter| {
        let (client, team, next) = (engine.client_with(meter), team.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            let mut times = Vec::new();
            let mut accepted = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= charges {
                    return (times, accepted);
                }
                let entry = entry(&team, &number.to_string(), now());
                let start = Instant::now();
                let is_charged = match design {
                    Design::Ours => {
                        let store = Store::new(client.clone(), engine::TABLE);
                        let result = store.charge(&team, vec![entry], now()).await.pop();
                        matches!(result, Some(EntryResult::Created(_)))
                    }
                    Design::Versioned => naive::versioned(&client, &entry).await,
                    Design::Plain => naive::plain(&client, &entry).await,
                };
                times.push(start.elapsed());
                accepted += usize::from(is_charged);
            }
        })
    });
    let done = join_all(running).await;
    let elapsed = start.elapsed();
    let (mut times, mut accepted) = (Vec::new(), 0);
    for client in done {
        let (more, count) = client.unwrap();
        times.extend(more);
        accepted += count;
    }
    times.sort();
    let readings: Vec<_> = meters.iter().map(Meter::take).collect();
    let round_trips: u64 = readings.iter().map(|reading| reading.round_trips).sum();
    let write_tenths: u64 = readings.iter().map(|reading| reading.write_tenths).sum();
    Figures {
        rate: charges as f64 / elapsed.as_secs_f64(),
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        round_trips: round_trips as f64 / charges as f64,
        write_units: write_tenths as f64 / 10.0 / accepted as f64,
        accepted,
        covered,
    }
}

fn now() -> Time {
    "2027-01-10T12:00:00Z".parse().unwrap()
}
