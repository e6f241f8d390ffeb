//! Processes that stop, and the seeds of simulated runs.

use std::ops::Range;
use std::pin::pin;
use std::task::Poll;

/// Lets a future run until it has been polled so often. What it came to, if it came to its end.
pub async fn dies_at<T>(polls: u32, life: impl Future<Output = T>) -> Option<T> {
    let mut life = pin!(life);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match life.as_mut().poll(context) {
            Poll::Ready(came) => Poll::Ready(Some(came)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The seeds that the environment asks for, or else these.
pub fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("SEEDS") else { return default };
    match text.split_once("..") {
        Some((first, last)) => first.parse().unwrap()..last.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}
