//! Gifts of credits that roll over.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys;
use super::entry::EntryResult;
use crate::domain::Error;
use crate::domain::ledger::entry::Entry;
use crate::domain::limits::{POOL_CREDITS_MAX, check_room};

impl Store {
    /// Gives credits to a team.
    ///
    /// The refusals are [`Error::NotFound`] (the team), [`Error::AccountClosed`], [`Error::Invalid`] for a pool that is
    /// too large, and [`Error::KeyReused`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn gift_add(&self, gift: Entry) -> Result<EntryResult, Error> {
        let Entry { team, at: now, .. } = &gift;
        let given = Expression::on(keys::pool(team))
            .set("credits = credits + :credits, mark = mark + :credits")
            .set("totals.gifted = totals.gifted + :credits")
            .value(":credits", gift.amount())
            .remove("refused")
            .when("credits <= :max")
            .value(":max", POOL_CREDITS_MAX)
            .when_active()
            .when_not_due(*now);
        let mut transaction = self.transaction();
        transaction.update(given)?;
        let entry = transaction.put_entry(&gift)?;
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let Some(cancelled) = self.transact(&transaction, &mut budget).await? else {
                self.refusals.remove(team);
                return Ok(EntryResult::Created(gift));
            };
            if let Some(image) = cancelled.image(entry) {
                return EntryResult::of_image(image, &gift);
            }
            let pool = match self.pool_current(team, *now).await {
                Err(error @ Error::NotFound(_)) => return Ok(EntryResult::Refused(error)),
                pool => pool?,
            };
            let accepts = pool.check_open().and_then(|()| check_room(pool.balance.credits));
            if let Err(refusal) = accepts {
                return Ok(EntryResult::Refused(refusal));
            }
            budget.check_left()?;
        }
    }
}
