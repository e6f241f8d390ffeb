//! One operation of the store on a team.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::retry::RetryBudget;
use crate::domain::Error;
use crate::domain::hold::Hold;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::Pool;
use crate::domain::time::Time;

/// An operation reads a pool with the mark of another process at most this often before it replaces the mark.
const WAITS_MAX: u32 = 16;

/// The longest pause before a marked pool is read again.
const CHANGE_MARK_POLL_MAX: Duration = Duration::from_millis(250);

/// An operation on a team: its time, the retries left to it, and its recall of lanes.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) team: TeamId,
    /// The time at which it began.
    pub(super) now: Time,
    pub(super) budget: RetryBudget,
    /// Its last mark of the pool.
    pub(super) change_mark: Option<ChangeMark>,
    /// The mark of another process that it waits for, and how often it has waited.
    awaited: Option<Time>,
    waits: u32,
    /// The lanes that it has returned. They are opened again at its end.
    pub(super) returned_lanes: BTreeMap<Id, Hold>,
    /// The due work that it has done.
    pub(super) done: Upkeep,
}

/// The due work that was done for a team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Whether a cycle ended or a subscription began.
    pub terms_changed: bool,
    /// The number of expired holds that were returned.
    pub expired: u64,
}

/// A mark of a pool: until it ends, no charge opens a lane, and other processes wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChangeMark {
    pub(super) at: Time,
    pub(super) until: Time,
    pub(super) since: Instant,
}

impl Operation {
    pub(super) fn new(team: &TeamId, now: Time, budget: RetryBudget) -> Self {
        Self {
            team: team.clone(),
            now,
            budget,
            change_mark: None,
            awaited: None,
            waits: 0,
            returned_lanes: BTreeMap::new(),
            done: Upkeep::default(),
        }
    }

    /// The same operation with short pauses between attempts.
    pub(super) fn with_short_pauses(self) -> Self {
        Self { budget: self.budget.with_short_pauses(), ..self }
    }

    /// The time of its present attempt.
    pub(super) fn current_time(&self) -> Time {
        self.budget.current_time(self.now)
    }

    /// Takes one of the waits for the mark of another process. Returns `false` if there is no such mark or no wait is
    /// left: their number is limited because the clock of that process may be far ahead.
    pub(super) fn take_wait(&mut self, pool: &Pool) -> bool {
        let is_own = self.change_mark.is_some_and(|mark| pool.changing_until == Some(mark.until));
        if is_own || !pool.is_changing(self.current_time()) {
            return false;
        }
        if self.awaited != pool.changing_until {
            (self.awaited, self.waits) = (pool.changing_until, 0);
        }
        self.waits = self.waits.saturating_add(1);
        self.waits <= WAITS_MAX
    }

    /// Waits before it reads a marked pool again.
    ///
    /// # Errors
    /// [`Error::Busy`] if no time is left.
    pub(super) async fn wait_for_change(&self) -> Result<(), Error> {
        self.budget.wait(CHANGE_MARK_POLL_MAX).await
    }
}
