//! The cost of the schedule per due team: on a table of a hundred thousand teams of which few are
//! due, and on a small table of which all are due.
//!
//! `cargo bench -p bench --bench schedule` prints the table; `cargo test -p bench` asserts that
//! idle teams cost nothing.

use bench::schedule::{Figures, measure};

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--bench");
    let (many, due) = if is_full { (100_000, 1_000) } else { (1_000, 100) };
    println!("| teams | due | changed | billed | round trips | read units | write units | ms |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (teams, due) in [(due, 0), (many, 0), (due, due), (many, due)] {
        print_row(teams, due, &measure(teams, due).await);
    }
    println!(
        "\nRound trips, units and time are for each team that is due; where none is, for the run."
    );
}

#[allow(clippy::cast_precision_loss, clippy::float_arithmetic, reason = "a table")]
fn print_row(teams: usize, due: usize, figures: &Figures) {
    let Figures { summary, reading, time } = figures;
    let each = |count: u64| count as f64 / due.max(1) as f64;
    println!(
        "| {teams} | {due} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} |",
        summary.changed,
        summary.billed,
        each(reading.round_trips),
        each(reading.read_tenths) / 10.0,
        each(reading.write_tenths) / 10.0,
        time.as_secs_f64() * 1e3 / due.max(1) as f64,
    );
}
