//! What people may do at no cost to their team, in one process: it bounds what the table is made to write
//! for nothing. It is a bound on cost and no rule of credits, so it is not shared between processes.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::Error;
use crate::domain::ids::{TeamId, UserId};

/// The most charges of 0 credits that a person may make of a team in a minute, and at once.
pub const FREE_CHARGES: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// How many people are remembered before those with their full allowance are forgotten.
const PEOPLE: usize = 10_000;

type Person = (TeamId, UserId);

/// The charges of 0 credits that are left to each person: a token bucket, by monotonic time.
#[derive(Clone)]
pub struct Allowance {
    people: Arc<RateLimiter<Person, HashMapStateStore<Person>, DefaultClock>>,
    clock: DefaultClock,
}

impl Default for Allowance {
    fn default() -> Self {
        let people = Arc::new(RateLimiter::hashmap(Quota::per_minute(FREE_CHARGES)));
        Self { people, clock: DefaultClock::default() }
    }
}

impl Allowance {
    /// Takes one charge of 0 credits out of a person's allowance.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] if none is left.
    pub fn take(&self, team: &TeamId, person: &UserId) -> Result<(), Error> {
        if self.people.len() > PEOPLE {
            self.people.retain_recent();
        }
        let person = (team.clone(), person.clone());
        self.people.check_key(&person).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Error::TooManyRequests { retry_after: wait.as_secs().saturating_add(1) }
        })
    }
}

impl fmt::Debug for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowance").field("people", &self.people.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_of_each_team_has_their_own() {
        let allowance = Allowance::default();
        let take = |team: &str, person: &str| {
            allowance.take(&team.parse().unwrap(), &person.parse().unwrap())
        };
        for _ in 0..FREE_CHARGES.get() {
            take("t", "max").unwrap();
        }
        let refused = take("t", "max");
        assert!(matches!(refused, Err(Error::TooManyRequests { retry_after: 1 })), "{refused:?}");
        assert!(take("t", "zoe").is_ok());
        assert!(take("o", "max").is_ok());
    }
}
