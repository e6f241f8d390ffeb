//! The clock of the stack. It can be moved forward, so a month passes in an instant.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use shared::domain::Error;
use shared::domain::time::Time;
use shared::lambda::Clock;

/// A clock. All copies show the same time.
#[derive(Clone, Debug)]
pub struct StackClock(Arc<Mutex<Reading>>);

#[derive(Clone, Copy, Debug)]
enum Reading {
    /// Ahead of the system's clock by this duration.
    Running(SignedDuration),
    Standing(Timestamp),
}

impl Reading {
    fn now(self) -> Timestamp {
        match self {
            Self::Running(ahead) => {
                Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
            }
            Self::Standing(at) => at,
        }
    }

    fn at(self, now: Timestamp) -> Self {
        match self {
            Self::Running(_) => Self::Running(now.duration_since(Timestamp::now())),
            Self::Standing(_) => Self::Standing(now),
        }
    }
}

impl StackClock {
    /// Returns a clock that starts at `start`, by default at the system's time, and stands still if
    /// `frozen`.
    #[must_use]
    pub fn new(start: Option<Time>, frozen: bool) -> Self {
        let now = start.map_or_else(Timestamp::now, Time::timestamp);
        let reading = if frozen {
            Reading::Standing(now)
        } else {
            Reading::Running(SignedDuration::ZERO).at(now)
        };
        Self(Arc::new(Mutex::new(reading)))
    }

    /// Returns the time of the stack.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now().into()
    }

    /// Moves the clock forward. This runs no schedule.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time before that of the clock.
    pub fn advance(&self, to: Time) -> Result<(), Error> {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time::from(reading.now());
        if to < now {
            return Err(Error::invalid(
                "now",
                format!("the clock shows {now} and moves forward only"),
            ));
        }
        *reading = reading.at(to.timestamp());
        Ok(())
    }
}

impl From<StackClock> for Clock {
    fn from(clock: StackClock) -> Self {
        Self::new(move || clock.now())
    }
}
