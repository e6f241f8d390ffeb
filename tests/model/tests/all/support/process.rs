//! Processes that are stopped, and the seeds of simulated runs.

use std::ops::Range;
use std::pin::pin;
use std::task::Poll;

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
