//! Tries again with full jitter until the time is up.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::domain::Error;

/// The longest first pause; each later one may be twice as long.
const FIRST: Duration = Duration::from_millis(10);

/// No pause is longer.
const LONGEST: Duration = Duration::from_millis(500);

/// The tries that are left to one operation.
#[derive(Debug)]
pub struct Patience {
    deadline: Instant,
    ceiling: Duration,
}

impl Patience {
    /// Tries for so long.
    #[must_use]
    pub fn until(time: Duration) -> Self {
        let now = Instant::now();
        Self { deadline: now.checked_add(time).unwrap_or(now), ceiling: FIRST }
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

    /// Waits at random before the next try.
    ///
    /// # Errors
    /// [`Error::Busy`] when the time is up.
    pub async fn pause(&mut self) -> Result<(), Error> {
        let pause = self.ceiling.mul_f64(fastrand::f64());
        let until = Instant::now().checked_add(pause).filter(|until| *until < self.deadline);
        sleep_until(until.ok_or(Error::Busy)?).await;
        self.ceiling = self.ceiling.saturating_mul(2).min(LONGEST);
        Ok(())
    }
}
