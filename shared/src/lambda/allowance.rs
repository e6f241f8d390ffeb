//! A limit on a person's requests that cost no credits: charges of 0 credits, and holds. It bounds the
//! write units that a person can use. Each process has its own.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::domain::Error;
use crate::domain::ids::{TeamId, UserId};

/// The sustained rate of one person in one team, and the largest burst.
pub const FREE_REQUESTS_PER_MINUTE: NonZeroU32 = match NonZeroU32::new(100) {
    Some(rate) => rate,
    None => NonZeroU32::MIN,
};

/// Above this number of buckets, full buckets are removed.
const BUCKETS_BEFORE_CLEANUP: usize = 10_000;

type Person = (TeamId, UserId);

/// A token bucket for each person of each team, filled by monotonic time.
#[derive(Clone)]
pub struct Allowance {
    people: Arc<RateLimiter<Person, HashMapStateStore<Person>, DefaultClock>>,
    clock: DefaultClock,
}

impl Default for Allowance {
    fn default() -> Self {
        let people = Arc::new(RateLimiter::hashmap(Quota::per_minute(FREE_REQUESTS_PER_MINUTE)));
        Self { people, clock: DefaultClock::default() }
    }
}

impl Allowance {
    /// Takes one token.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`] if the bucket is empty.
    pub fn take(&self, team: &TeamId, person: &UserId) -> Result<(), Error> {
        if self.people.len() > BUCKETS_BEFORE_CLEANUP {
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
    fn each_person_of_each_team_has_an_own_bucket() {
        let allowance = Allowance::default();
        let take = |team: &str, person: &str| {
            allowance.take(&team.parse().unwrap(), &person.parse().unwrap())
        };
        for _ in 0..FREE_REQUESTS_PER_MINUTE.get() {
            take("t", "max").unwrap();
        }
        let refused = take("t", "max");
        assert!(matches!(refused, Err(Error::TooManyRequests { retry_after: 1 })), "{refused:?}");
        assert!(take("t", "zoe").is_ok());
        assert!(take("o", "max").is_ok());
    }
}
