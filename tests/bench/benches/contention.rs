//! Many writers on one pool of the simulated DynamoDB, in virtual time.
//!
//! `cargo bench -p bench --bench contention` prints the tables; `cargo test -p bench` asserts the
//! figures.

use bench::change::{self, Change};
use bench::contention::{Design, Figures, Load, is_exact, measure};

fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let seconds = if is_full { 5 } else { 1 };
    println!("{seconds} virtual seconds, one team\n");
    println!(
        "| writers | charges in a request | design | charges/s | p50 ms | p99 ms | round trips | write units | conflicts | exact |"
    );
    println!("|--:|--:|---|--:|--:|--:|--:|--:|--:|---|");
    for (writers, batch, design) in [
        (1, 1, Design::Versioned),
        (1, 1, Design::OneTransaction),
        (1, 1, Design::Lanes),
        (1, 99, Design::Lanes),
        (8, 1, Design::Versioned),
        (8, 1, Design::OneTransaction),
        (8, 1, Design::Lanes),
        (64, 1, Design::Versioned),
        (64, 1, Design::OneTransaction),
        (64, 1, Design::Lanes),
        (256, 1, Design::Lanes),
    ] {
        let load = Load { design, writers, batch, seconds, credits: 10_000_000 };
        print_row(load, &measure(load, 1));
    }
    print_changes(if is_full { &[8, 64, 256] } else { &[8] });
}

/// The virtual time of changes to a team while it is charged.
fn print_changes(loads: &[usize]) {
    println!("\n| writers | seat ms | plan ms | close ms | end of the cycle ms |");
    println!("|--:|--:|--:|--:|--:|");
    for writers in loads {
        let time = |change| match change::measure(change, *writers, 1) {
            Ok(time) => time.as_millis().to_string(),
            Err(error) => error.to_string(),
        };
        let times = [Change::Seat, Change::Plan, Change::Close, Change::CycleEnd].map(time);
        println!("| {writers} | {} |", times.join(" | "));
    }
}

#[allow(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "a table")]
fn print_row(load: Load, figures: &Figures) {
    let each = |count: u64| count as f64 / figures.charged.max(1) as f64;
    println!(
        "| {} | {} | {} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {} |",
        load.writers,
        load.batch,
        load.design.name(),
        figures.rate,
        figures.p50.as_secs_f64() * 1e3,
        figures.p99.as_secs_f64() * 1e3,
        each(figures.tally.round_trips),
        each(figures.tally.write_units),
        each(figures.tally.conflicts),
        if is_exact(load, figures) { "yes" } else { "NO" },
    );
}
