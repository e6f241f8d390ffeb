//! A pool at an instant, with everything due that is not written yet: expired holds, ended cycles, subscriptions that
//! begin.
//!
//! A read computes it and waits for no write of another process. A later write of it puts the same entries with the
//! same ids.

use crate::domain::credits::TooMany;
use crate::domain::hold::{Hold, HoldStatus};
use crate::domain::ids::Reference;
use crate::domain::ledger::entry::{Details, Entry, Lapsed};
use crate::domain::pool::Pool;
use crate::domain::statement::Statement;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A pool at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// The pool. Credits in lanes are part of its balance.
    pub pool: Pool,
    /// The holds that are open at the instant.
    pub holds: Vec<Hold>,
    /// The ledger entries that are not written yet, without the references of their holds.
    pub entries: Vec<Entry>,
    /// The statements of the cycles that ended without being written.
    pub statements: Vec<Statement>,
}

impl Projection {
    /// The projection of a stored pool, with its stored lanes and holds.
    ///
    /// # Errors
    /// [`Error::Internal`] if the credits leave their range.
    pub fn new(
        mut pool: Pool,
        lanes: &[Hold],
        mut holds: Vec<Hold>,
        now: Time,
    ) -> Result<Self, Error> {
        for lane in lanes {
            pool.receive_lane(lane, now)?;
        }
        holds.sort_by(|one, other| (one.expires_at, &one.id).cmp(&(other.expires_at, &other.id)));
        let (entries, statements) = (Vec::new(), Vec::new());
        let mut projection = Self { pool, holds, entries, statements };
        while let Some(change) = projection.pool.due_change(now)? {
            projection.expire_holds(change.at, now)?;
            // The returned free credits are among those that lapse.
            let Some(change) = projection.pool.due_change(now)? else { break };
            let before = projection.pool.clone();
            projection.pool.apply(&change)?;
            projection.entries.extend(change.entries);
            projection.statements.extend(Statement::of(&before, &projection.pool)?);
        }
        projection.expire_holds(now, now)?;
        Ok(projection)
    }

    /// The next expiry of an open hold.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.holds.iter().map(|hold| hold.expires_at).min()
    }

    /// The credits that can still be captured from open holds.
    ///
    /// # Errors
    /// [`TooMany`] if they are more than [`Credits::MAX`].
    pub fn held(&self) -> Result<Credits, TooMany> {
        Credits::sum(self.holds.iter().map(|hold| hold.remaining))
    }

    /// The pool with the usage of open holds counted as well.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn with_open_holds_counted(&self, now: Time) -> Result<Pool, TooMany> {
        let mut pool = self.pool.clone();
        for hold in &self.holds {
            pool.used.merge(&hold.used)?;
            pool.weeks.add(hold.used.spent()?, now)?;
        }
        Ok(pool)
    }

    fn expire_holds(&mut self, by: Time, now: Time) -> Result<(), TooMany> {
        let count = self.holds.partition_point(|hold| hold.expires_at <= by);
        for hold in self.holds.drain(..count) {
            let lapsed = self.pool.receive_hold(&hold, now)?;
            self.entries.extend(hold.expiry(lapsed, None));
        }
        Ok(())
    }
}

impl Hold {
    /// The ledger entries of its expiry: of what it returns, and of what lapses.
    pub fn expiry(
        &self,
        lapsed: Credits,
        reference: Option<Reference>,
    ) -> impl Iterator<Item = Entry> + use<> {
        let release = Entry {
            held: self.remaining.lost(),
            reference,
            ..Entry::new(
                &self.team,
                None,
                Details::Release { hold: self.id.clone() },
                self.expires_at,
            )
        };
        std::iter::once(release).chain(self.lapse(lapsed, self.expires_at))
    }

    /// The ledger entry of free credits that lapse because the hold returned them after their cycle.
    #[must_use]
    pub fn lapse(&self, lapsed: Credits, at: Time) -> Option<Entry> {
        let lapse = Details::Expiry(Lapsed::Hold { hold: self.id.clone() });
        let entry = Entry::new(&self.team, None, lapse, at);
        (!lapsed.is_zero()).then(|| Entry { credits: lapsed.lost(), ..entry })
    }

    /// The hold after it was closed; nothing is left of it.
    #[must_use]
    pub fn closed(&self, status: HoldStatus) -> Self {
        Self { status, remaining: Credits::ZERO, ..self.clone() }
    }
}
