//! Expired holds: what remains of them returns to the pool.

use super::Store;
use super::open_hold::{Closing, StoredHold};
use super::operation::Operation;
use crate::domain::hold::HoldStatus;
use crate::domain::ids::Id;
use crate::domain::pool::Pool;
use crate::domain::{Credits, Error};

/// The most holds that are returned in one write: four legs for each and one for the pool.
const HOLDS_PER_WRITE_MAX: usize = 24;

impl Store {
    /// Returns the largest expired holds to the pool, as few as together have at least the missing credits. Returns
    /// `false` if all expired holds have less; then none is returned. After `true` the pool must be read again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn holds_expire_covering(
        &self,
        pool: &Pool,
        missing: Credits,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        let mut expired = self.expired_holds_read(pool, operation.now).await?;
        expired.sort_by_key(|stored| std::cmp::Reverse(stored.hold.remaining));
        let mut left = missing;
        let enough = expired.iter().position(|stored| {
            left = left.excess_over(stored.hold.remaining);
            left.is_zero()
        });
        let Some(last) = enough else { return Ok(false) };
        expired.truncate(last.saturating_add(1));
        self.holds_expire(pool, &expired, operation).await?;
        Ok(true)
    }

    /// Returns expired holds, many in each write. It ends early if another process was first. After it the pool must be
    /// read again.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn holds_expire(
        &self,
        pool: &Pool,
        expired: &[StoredHold],
        operation: &mut Operation,
    ) -> Result<(), Error> {
        let mut pool = pool.clone();
        for part in expired.chunks(HOLDS_PER_WRITE_MAX) {
            if !self.holds_expire_once(&pool, part, operation).await? {
                break;
            }
            for stored in part {
                pool.receive_hold(&stored.hold, operation.now)?;
            }
        }
        Ok(())
    }

    /// Returns expired holds in one write. Returns `false` if another process was first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    async fn holds_expire_once(
        &self,
        pool: &Pool,
        expired: &[StoredHold],
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        let ids: Vec<Id> = expired.iter().map(|stored| stored.hold.id.clone()).collect();
        let references = self.hold_references_read(&pool.team, &ids).await?;
        let reference = |stored: &StoredHold| references.get(&stored.hold.id).cloned();
        let closing = |stored| Closing {
            stored,
            status: HoldStatus::Expired,
            entries: stored.hold.expiry(Credits::ZERO, reference(stored)).collect(),
        };
        let closings: Vec<_> = expired.iter().map(closing).collect();
        let count = u64::try_from(closings.len()).unwrap_or(u64::MAX);
        let mut transaction = self.transaction();
        transaction.close_holds(pool, closings, operation.now)?;
        if self.transact(&transaction, &mut operation.budget).await?.is_some() {
            operation.budget.back_off().await?;
            return Ok(false);
        }
        self.refusals.remove(&pool.team);
        operation.done.expired = operation.done.expired.saturating_add(count);
        Ok(true)
    }
}
