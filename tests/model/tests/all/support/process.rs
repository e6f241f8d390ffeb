//! Processes with clocks that differ, processes that are stopped, and the seeds of simulated runs.

use std::ops::Range;
use std::pin::pin;
use std::task::Poll;

use engine::catalogue;
use shared::lambda::App;
use simulator::World;

/// The clock of a process differs from the simulated time by at most this many milliseconds.
pub const SKEW_MS: i64 = 500;

/// A new process with its own clock.
pub fn process(world: &World, random: &mut fastrand::Rng) -> App {
    process_with_skew(world, random.i64(-SKEW_MS..=SKEW_MS))
}

/// A new process whose clock differs from the simulated time by `skew_ms`.
pub fn process_with_skew(world: &World, skew_ms: i64) -> App {
    App::new(world.store(), world.clock(skew_ms), catalogue())
}

/// Polls a future at most `polls` times. Returns its output if it completes.
pub async fn run_for_polls<T>(polls: u32, operations: impl Future<Output = T>) -> Option<T> {
    let mut operations = pin!(operations);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match operations.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The seeds in the environment variable `SEEDS`, or else `default`.
pub fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return default };
    match text.split_once("..") {
        Some((first, last)) => first.parse().unwrap()..last.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}
