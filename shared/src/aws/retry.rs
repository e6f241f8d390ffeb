//! The time that one operation may spend on retries: full jitter until the deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::Error;
use crate::domain::time::Time;

/// The first pause is at most this long.
const FIRST_PAUSE_MAX: Duration = Duration::from_millis(20);

/// Each pause is at most this many times longer than the one before.
const PAUSE_GROWTH: u32 = 3;

/// No pause takes more than this share of the time left.
const PAUSE_SHARE_MAX: f64 = 0.25;

/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// No pause is longer for an operation that other operations wait for.
const SHORT_PAUSE_MAX: Duration = Duration::from_millis(40);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs `work` with a deadline, if `time` is given: every retry budget created in it ends at the deadline.
pub async fn with_deadline<T>(time: Option<Duration>, work: impl Future<Output = T>) -> T {
    match time {
        Some(time) => DEADLINE.scope(after(time), work).await,
        None => work.await,
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// The retries left to one operation.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    began: Instant,
    deadline: Instant,
    ceiling: Duration,
    longest: Duration,
}

impl RetryBudget {
    /// A budget of `time`, or less if the deadline of [`with_deadline`] comes first.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        let own = after(time);
        let deadline = DEADLINE.try_with(|invocation| own.min(*invocation)).unwrap_or(own);
        Self { began: Instant::now(), deadline, ceiling: FIRST_PAUSE_MAX, longest: PAUSE_MAX }
    }

    /// The same budget with short pauses. An operation that other operations wait for would otherwise lose
    /// against them repeatedly.
    #[must_use]
    pub fn with_short_pauses(self) -> Self {
        let ceiling = self.ceiling.min(SHORT_PAUSE_MAX);
        Self { ceiling, longest: SHORT_PAUSE_MAX, ..self }
    }

    /// The current time of an operation that began at `began_at`.
    #[must_use]
    pub fn current_time(&self, began_at: Time) -> Time {
        let milliseconds = self.began.elapsed().as_millis();
        began_at.plus_milliseconds(u32::try_from(milliseconds).unwrap_or(u32::MAX))
    }

    /// Waits a random time of at most `longest`.
    ///
    /// # Errors
    /// [`Error::Busy`] if no time is left.
    pub async fn wait(&self, longest: Duration) -> Result<(), Error> {
        self.timeout(sleep(longest.mul_f64(fastrand::f64()))).await
    }

    /// Awaits one attempt until the budget ends.
    ///
    /// # Errors
    /// [`Error::Busy`] if no time is left.
    pub async fn timeout<T>(&self, attempt: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.deadline, attempt).await.map_err(|_| Error::Busy)
    }

    /// Whether no time is left.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Checks that time is left.
    ///
    /// # Errors
    /// [`Error::Busy`] if no time is left.
    pub fn check_left(&self) -> Result<(), Error> {
        if self.is_exhausted() { Err(Error::Busy) } else { Ok(()) }
    }

    /// Waits before the next attempt. Full jitter: up to three times longer per attempt, at most 1 s, never
    /// more than a quarter of the time left.
    ///
    /// # Errors
    /// [`Error::Busy`] if no time is left.
    pub async fn back_off(&mut self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < FIRST_PAUSE_MAX {
            return Err(Error::Busy);
        }
        let ceiling = self.ceiling.min(left.mul_f64(PAUSE_SHARE_MAX));
        sleep(ceiling.mul_f64(fastrand::f64())).await;
        self.ceiling = self.ceiling.saturating_mul(PAUSE_GROWTH).min(self.longest);
        Ok(())
    }
}
