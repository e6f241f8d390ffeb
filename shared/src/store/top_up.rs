//! Automatic top-ups: begun once for each event that tells of one, within the month's limit, and over
//! with the first payment that fails.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Update};

use super::failure::unmet;
use super::requests::update;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::top_ups::TopUps;
use crate::domain::pool::{Account, Pool};
use crate::domain::purchase::{Purchase, Status};
use crate::domain::settings::AutoTopUp;
use crate::domain::time::Time;

impl Store {
    /// Records the top-up of an event, or finds it. `None` if the team does not want it any more, if it
    /// exceeds the month's limit, or if it waits for a pending purchase: once that is over, another
    /// event follows if the team still wants a top-up.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team); [`Error::Busy`], [`Error::Internal`].
    pub async fn begin_top_up(
        &self,
        team: &TeamId,
        event: &Id,
        now: Time,
    ) -> Result<Option<Purchase>, Error> {
        let id = Purchase::id_of_top_up(team, event);
        let mut budget = self.retry_budget();
        loop {
            let pool = self.view(team, now).await?.pool;
            // Read after the pool: what is pending there may be this very purchase.
            match self.purchase(team, &id).await {
                Err(Error::NotFound(_)) => {}
                found => return found.map(Some),
            }
            if pool.waited_top_up.as_ref() == Some(event) {
                // Another event followed it, or will.
                return Ok(None);
            }
            let Some((wanted, after)) = pool.top_up(now) else { return Ok(None) };
            if pool.pending_purchases > 0 {
                if self.let_top_up_wait(team, event).await? {
                    return Ok(None);
                }
                continue;
            }
            let purchase = Purchase::top_up(team, event, wanted.credits, now);
            let mut writes = vec![update(self.count_top_up(&pool, wanted, after)?)];
            writes.extend(self.record(&purchase)?);
            if self.transact(writes, &mut budget).await?.is_none() {
                return Ok(Some(purchase));
            }
            budget.back_off().await?;
        }
    }

    /// Records that the payment of a top-up has failed for good: it counts no longer, and there is no
    /// other one until an admin puts the settings anew. The purchase as it stands then.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn fail_top_up(
        &self,
        purchase: &Purchase,
        reason: &str,
    ) -> Result<Purchase, Error> {
        let Purchase { team, id, .. } = purchase;
        let mut budget = self.retry_budget();
        loop {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let writes = vec![
                update(self.conclude(purchase, Status::Failed, Some(reason))?),
                update(self.end_top_ups(&pool, purchase)?),
            ];
            let cancelled = self.transact(writes, &mut budget).await?;
            let purchase = self.purchase(team, id).await?;
            if cancelled.is_none() || purchase.status != Status::Pending {
                return Ok(purchase);
            }
            budget.back_off().await?;
        }
    }

    /// Notes in the pool that a top-up waits for a pending purchase. Whether one is still pending.
    async fn let_top_up_wait(&self, team: &TeamId, event: &Id) -> Result<bool, Error> {
        let wait = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(team)))
            .update_expression("SET top_up_waits = :yes, waited_top_up = :event")
            .condition_expression("pending_purchases > :none")
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":event", keys::text(event.as_str()))
            .expression_attribute_values(":none", keys::number(0));
        self.retry(|| async {
            match wait.clone().send().await {
                Ok(_) => Ok(true),
                Err(error) => unmet(error).map(|_| false),
            }
        })
        .await
    }

    /// The update of a pool that still wants a top-up as it was seen, with no purchase pending.
    fn count_top_up(&self, seen: &Pool, wanted: AutoTopUp, after: TopUps) -> Result<Update, Error> {
        let AutoTopUp { below, credits, monthly_limit } = wanted;
        let set = "SET pending_purchases = if_not_exists(pending_purchases, :none) + :one \
                   REMOVE top_up_waits";
        let condition = "terms.account = :active AND settings.auto_top_up.below = :below \
                         AND settings.auto_top_up.credits = :credits \
                         AND settings.auto_top_up.monthly_limit = :limit \
                         AND credits < :below AND attribute_not_exists(failed_top_up) \
                         AND (attribute_not_exists(pending_purchases) OR pending_purchases = :none)";
        self.write_top_ups(seen, after, set, condition)?
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":below", keys::number(below.get()))
            .expression_attribute_values(":credits", keys::number(credits.get()))
            .expression_attribute_values(":limit", keys::number(monthly_limit.get()))
            .expression_attribute_values(":none", keys::number(0))
            .expression_attribute_values(":one", keys::number(1))
            .build()
            .map_err(Error::internal)
    }

    /// The update of a pool after a top-up of it has failed.
    fn end_top_ups(&self, seen: &Pool, failed: &Purchase) -> Result<Update, Error> {
        let after = seen.top_ups.ok_or_else(|| Error::internal("no top-up was counted"))?;
        let set = "SET failed_top_up = :failed, \
                   pending_purchases = pending_purchases - :one";
        self.write_top_ups(seen, after.without(failed), set, "attribute_exists(pk)")?
            .expression_attribute_values(":failed", keys::text(failed.id.as_str()))
            .expression_attribute_values(":one", keys::number(1))
            .build()
            .map_err(Error::internal)
    }

    /// An update that also counts; what was counted before must be as it was seen.
    fn write_top_ups(
        &self,
        seen: &Pool,
        after: TopUps,
        set: &str,
        condition: &str,
    ) -> Result<UpdateBuilder, Error> {
        let (set_top_ups, unchanged) = if seen.top_ups.is_some() {
            (
                "top_ups.#month = :month, top_ups.bought = :bought",
                "top_ups.#month = :seen_month AND top_ups.bought = :seen_bought",
            )
        } else {
            ("top_ups = :top_ups", "attribute_not_exists(top_ups)")
        };
        let set = set.replacen("SET ", &format!("SET {set_top_ups}, "), 1);
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&seen.team)))
            .update_expression(set)
            .condition_expression(format!("{condition} AND {unchanged}"));
        let Some(before) = seen.top_ups else {
            let top_ups = serde_dynamo::to_attribute_value(after).map_err(Error::internal)?;
            return Ok(update.expression_attribute_values(":top_ups", top_ups));
        };
        Ok(update
            .expression_attribute_names("#month", "month")
            .expression_attribute_values(":month", keys::text(after.month.to_string()))
            .expression_attribute_values(":bought", keys::number(after.bought.get()))
            .expression_attribute_values(":seen_month", keys::text(before.month.to_string()))
            .expression_attribute_values(":seen_bought", keys::number(before.bought.get())))
    }
}
