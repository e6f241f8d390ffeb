//! Tries again with full jitter until the time is up.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::Error;
use crate::domain::time::Time;

/// The longest first pause.
const FIRST: Duration = Duration::from_millis(20);

/// How much longer each later pause may be.
const GROWTH: u32 = 3;

/// No pause is longer than this part of the time that is left.
const PART_OF_LEFT: f64 = 0.25;

/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(1);

/// No pause of an operation that others wait for is longer.
const LONGEST_IF_AWAITED: Duration = Duration::from_millis(40);

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Does some work, within so much time if it is limited: every operation in it gives up when that
/// is over.
pub async fn within<T>(time: Option<Duration>, work: impl Future<Output = T>) -> T {
    match time {
        Some(time) => DEADLINE.scope(after(time), work).await,
        None => work.await,
    }
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}

/// The tries that are left to one operation.
#[derive(Clone, Debug)]
pub struct Patience {
    began: Instant,
    deadline: Instant,
    ceiling: Duration,
    longest: Duration,
}

impl Patience {
    /// Tries for so long, or until the work that it belongs to must be over.
    #[must_use]
    pub fn until(time: Duration) -> Self {
        let own = after(time);
        let deadline = DEADLINE.try_with(|whole| own.min(*whole)).unwrap_or(own);
        Self { began: Instant::now(), deadline, ceiling: FIRST, longest: LONGEST }
    }

    /// The same with short pauses, for an operation that others wait for: it must not be the one that
    /// loses to them again and again.
    #[must_use]
    pub fn if_awaited(self) -> Self {
        Self { longest: LONGEST_IF_AWAITED, ..self }
    }

    /// The present time of an operation that began at a time.
    #[must_use]
    pub fn present(&self, began_at: Time) -> Time {
        let milliseconds = self.began.elapsed().as_millis();
        began_at.plus_milliseconds(u32::try_from(milliseconds).unwrap_or(u32::MAX))
    }

    /// Waits at random up to that time.
    ///
    /// # Errors
    /// [`Error::Busy`] when the time is up.
    pub async fn wait(&self, longest: Duration) -> Result<(), Error> {
        self.bound(sleep(longest.mul_f64(fastrand::f64()))).await
    }

    /// Waits for one try, but not longer than all of them may take.
    ///
    /// # Errors
    /// [`Error::Busy`] when the time is up.
    pub async fn bound<T>(&self, attempt: impl Future<Output = T>) -> Result<T, Error> {
        timeout_at(self.deadline, attempt).await.map_err(|_| Error::Busy)
    }

    /// Whether the time is up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Goes on at once.
    ///
    /// # Errors
    /// [`Error::Busy`] when the time is up.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_over() { Err(Error::Busy) } else { Ok(()) }
    }

    /// Full jitter: up to three times longer per attempt, at most 1 s, never more than a quarter of the
    /// time left.
    ///
    /// # Errors
    /// [`Error::Busy`] when the time is up.
    pub async fn pause(&mut self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left < FIRST {
            return Err(Error::Busy);
        }
        let ceiling = self.ceiling.min(left.mul_f64(PART_OF_LEFT));
        sleep(ceiling.mul_f64(fastrand::f64())).await;
        self.ceiling = self.ceiling.saturating_mul(GROWTH).min(self.longest);
        Ok(())
    }
}
