//! Automatic top-ups: begun once for each `top-up.due` event, within the month's limit, and ended by the first
//! payment that fails.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys;
use crate::domain::Error;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::Pool;
use crate::domain::pool::top_ups::TopUps;
use crate::domain::purchase::Purchase;
use crate::domain::settings::AutoTopUp;
use crate::domain::time::Time;

impl Store {
    /// Records the top-up of an event at the price of `list`, or finds it. Returns `None` if the team no longer wants
    /// it, if it exceeds the month's limit, or if it waits for a pending purchase: after that purchase another event
    /// follows if the team still wants a top-up.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team); [`Error::Invalid`] if the price exceeds an amount; [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn top_up_begin(
        &self,
        team: &TeamId,
        event: &Id,
        list: &PriceList,
        now: Time,
    ) -> Result<Option<Purchase>, Error> {
        let id = Purchase::id_of_top_up(team, event);
        let mut budget = self.retry_budget();
        loop {
            let pool = self.projection_read(team, now).await?.pool;
            // Read after the pool: the pending purchase may be this one.
            match self.purchase_read(team, &id).await {
                Err(Error::NotFound(_)) => {}
                found => return found.map(Some),
            }
            if pool.waited_top_up.as_ref() == Some(event) {
                // Another event followed this one, or will.
                return Ok(None);
            }
            let Some((wanted, after)) = pool.top_up(now) else { return Ok(None) };
            if pool.pending_purchases > 0 {
                let wait = Expression::on(keys::pool(team))
                    .set("top_up_waits = :yes, waited = :event")
                    .value(":yes", true)
                    .value(":event", event)
                    .when("pending > :none")
                    .value(":none", 0);
                if self.item_update(wait, &mut budget).await?.is_written() {
                    return Ok(None);
                }
                continue;
            }
            let purchase = Purchase::top_up(team, event, list.offer(wanted.credits)?, now);
            let mut transaction = self.transaction();
            transaction.update(top_up_counted(&pool, wanted, after))?;
            transaction.put_purchase(&purchase)?;
            if self.transact(&transaction, &mut budget).await?.is_none() {
                return Ok(Some(purchase));
            }
            budget.back_off().await?;
        }
    }
}

/// The update of a pool without a pending purchase that still wants a top-up as it was seen.
fn top_up_counted(seen: &Pool, wanted: AutoTopUp, after: TopUps) -> Expression {
    Expression::on(keys::pool(&seen.team))
        .put_top_ups(seen.top_ups, after)
        .add_pending_purchase()
        .remove("top_up_waits")
        .when("(attribute_not_exists(pending) OR pending = :none)")
        .when("settings.auto_top_up.below = :below AND credits < :below")
        .value(":below", wanted.below)
        .when("settings.auto_top_up.credits = :credits")
        .value(":credits", wanted.credits)
        .when("settings.auto_top_up.monthly_limit = :limit")
        .value(":limit", wanted.monthly_limit)
        .when_active()
        .when("attribute_not_exists(failed_top_up)")
}
