//! Automatic top-ups: begun once for each event that tells of one, within the month's limit, and over
//! with the first payment that fails.

use aws_sdk_dynamodb::types::Update;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;

use super::access::update;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::{Account, Pool};
use crate::domain::purchase::{Purchase, Status};
use crate::domain::settings::AutoTopUp;
use crate::domain::time::Time;
use crate::domain::top_up::TopUps;

impl Store {
    /// Records the top-up that an event tells of, or finds it. `None` if the team does not want it
    /// any more, or if it is more than the month's limit allows.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team); [`Error::Busy`], [`Error::Internal`].
    pub async fn begin_top_up(
        &self,
        team: &TeamId,
        event: &Id,
        now: Time,
    ) -> Result<Option<Purchase>, Error> {
        let mut patience = self.patience();
        loop {
            match self.purchase(team, &Purchase::id_of_top_up(team, event)).await {
                Err(Error::NotFound(_)) => {}
                found => return found.map(Some),
            }
            let pool = self.balance(team, now).await?;
            let Some((wanted, after)) = pool.top_up(now) else { return Ok(None) };
            let purchase = Purchase::top_up(team, event, wanted.credits, now);
            let mut writes = vec![update(self.count_top_up(&pool, wanted, after)?)];
            writes.extend(self.record(&purchase)?);
            if self.transact(writes, &mut patience).await?.is_none() {
                return Ok(Some(purchase));
            }
            patience.pause().await?;
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
        let mut patience = self.patience();
        loop {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            let writes = vec![
                update(self.conclude(purchase, Status::Failed, Some(reason))?),
                update(self.end_top_ups(&pool, purchase)?),
            ];
            let cancelled = self.transact(writes, &mut patience).await?;
            let purchase = self.purchase(team, id).await?;
            if cancelled.is_none() || purchase.status != Status::Pending {
                return Ok(purchase);
            }
            patience.pause().await?;
        }
    }

    /// The update of a pool that still wants a top-up, as it was seen to.
    fn count_top_up(&self, seen: &Pool, wanted: AutoTopUp, after: TopUps) -> Result<Update, Error> {
        let chosen = serde_dynamo::to_attribute_value(wanted).map_err(Error::internal)?;
        let condition = "terms.account = :active AND settings.auto_top_up = :chosen \
                         AND credits < :below AND attribute_not_exists(failed_top_up)";
        self.write_top_ups(seen, after, "SET top_ups = :after", condition)?
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .expression_attribute_values(":chosen", chosen)
            .expression_attribute_values(":below", keys::number(wanted.below.get()))
            .build()
            .map_err(Error::internal)
    }

    /// The update of a pool after a top-up of it has failed.
    fn end_top_ups(&self, seen: &Pool, failed: &Purchase) -> Result<Update, Error> {
        let after = seen.top_ups.ok_or_else(|| Error::internal("no top-up was counted"))?;
        let set = "SET top_ups = :after, failed_top_up = :failed";
        self.write_top_ups(seen, after.without(failed), set, "attribute_exists(pk)")?
            .expression_attribute_values(":failed", keys::text(failed.id.as_str()))
            .build()
            .map_err(Error::internal)
    }

    /// An update that what is counted must not have changed before.
    fn write_top_ups(
        &self,
        seen: &Pool,
        after: TopUps,
        set: &str,
        condition: &str,
    ) -> Result<UpdateBuilder, Error> {
        let attribute =
            |top_ups: TopUps| serde_dynamo::to_attribute_value(top_ups).map_err(Error::internal);
        let unchanged = if seen.top_ups.is_some() {
            "top_ups = :seen"
        } else {
            "attribute_not_exists(top_ups)"
        };
        let mut update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&seen.team)))
            .update_expression(set)
            .condition_expression(format!("{condition} AND {unchanged}"))
            .expression_attribute_values(":after", attribute(after)?);
        if let Some(top_ups) = seen.top_ups {
            update = update.expression_attribute_values(":seen", attribute(top_ups)?);
        }
        Ok(update)
    }
}
