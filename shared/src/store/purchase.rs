//! Credits that roll over: purchases, step by step, and gifts.
//!
//! A purchase is begun before the payment and settled after it. Its entry claims the caller's key
//! from the beginning, but enters the history only when the money was taken.

use aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};

use super::charge::Outcome;
use super::failure::{Leg, failure};
use super::{Store, keys};
use crate::domain::entry::Entry;
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::Account;
use crate::domain::purchase::{Purchase, Status};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

impl Store {
    /// Records a purchase that is to be paid, or finds the one that the key stands for already.
    /// The purchase, and whether it was there.
    ///
    /// # Errors
    /// [`Error::KeyReused`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn begin(&self, purchase: &Purchase) -> Result<(Purchase, bool), Error> {
        let claim = purchase.entry(purchase.at);
        let mut patience = self.patience();
        loop {
            let record = self.put_new(purchase, keys::purchase(&purchase.team, &purchase.id))?;
            let guard = self.put_new(&claim, keys::entry(&claim))?;
            let writes = [record, guard].map(|put| TransactWriteItem::builder().put(put).build());
            let Some(mut legs) = self.transact(writes).await? else {
                return Ok((purchase.clone(), false));
            };
            if let Some(Leg::Failed(Some(image))) = legs.pop() {
                let entry: Entry = serde_dynamo::from_item(image).map_err(Error::internal)?;
                if !entry.answers(&claim) {
                    return Err(Error::KeyReused);
                }
                return Ok((self.purchase(&purchase.team, &purchase.id).await?, true));
            }
            patience.pause().await?;
        }
    }

    /// Looks a purchase up.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase(&self, team: &TeamId, id: &Id) -> Result<Purchase, Error> {
        let key = keys::purchase(team, id);
        let read = self.client.get_item().table_name(&*self.table).set_key(Some(key));
        let found = read.consistent_read(true).send().await.map_err(failure)?;
        let item = found.item.ok_or(Error::NotFound("purchase"))?;
        serde_dynamo::from_item(item).map_err(Error::internal)
    }

    /// Adds the credits of a purchase whose payment has succeeded, once however often it is called.
    /// They are added even to an account that was closed meanwhile, because the money was taken.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn settle(&self, purchase: &Purchase, now: Time) -> Result<Purchase, Error> {
        let mut patience = self.patience();
        loop {
            let entry = purchase.entry(now);
            let paid = self.conclude(purchase, Status::Paid, None)?;
            let listed = self.list(&entry)?;
            let writes = [
                TransactWriteItem::builder().update(self.add(
                    &purchase.team,
                    purchase.credits,
                    "attribute_exists(pk)",
                )?),
                TransactWriteItem::builder().update(paid),
                TransactWriteItem::builder().put(listed),
            ];
            let cancelled = self.transact(writes.map(TransactWriteItemBuilder::build)).await?;
            match cancelled.as_deref() {
                None | Some([_, Leg::Failed(_), _]) => {
                    return self.purchase(&purchase.team, &purchase.id).await;
                }
                Some([Leg::Failed(_), ..]) => return Err(Error::NotFound("team")),
                Some(_) => patience.pause().await?,
            }
        }
    }

    /// Records that the payment of a purchase has failed for good. The purchase as it stands then.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn fail(&self, purchase: &Purchase, reason: &str) -> Result<Purchase, Error> {
        let mut patience = self.patience();
        loop {
            let failed = self.conclude(purchase, Status::Failed, Some(reason))?;
            let legs = self.transact([TransactWriteItem::builder().update(failed).build()]).await?;
            match legs.as_deref() {
                Some([Leg::Contended]) => patience.pause().await?,
                None | Some(_) => return self.purchase(&purchase.team, &purchase.id).await,
            }
        }
    }

    /// Gives credits to a team.
    ///
    /// Its refusals are those of [`Store::charge`], but for the credits.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn gift(&self, gift: Entry) -> Result<Outcome, Error> {
        let credits = Credits::new(gift.credits.unsigned_abs());
        let mut patience = self.patience();
        loop {
            let writes = [
                TransactWriteItem::builder().update(self.add(
                    &gift.team,
                    credits,
                    "terms.account = :active",
                )?),
                TransactWriteItem::builder().put(self.put_entry(&gift)?),
            ];
            let Some(legs) = self.transact(writes.map(TransactWriteItemBuilder::build)).await?
            else {
                return Ok(Outcome::Charged(gift));
            };
            match <[Leg; 2]>::try_from(legs) {
                Ok([_, Leg::Failed(Some(image))]) => return Outcome::earlier(image, &gift),
                Ok([Leg::Failed(None), _]) => {
                    return Ok(Outcome::Refused(Error::NotFound("team")));
                }
                Ok([Leg::Failed(Some(_)), _]) => return Ok(Outcome::Refused(Error::AccountClosed)),
                Ok(_) | Err(_) => patience.pause().await?,
            }
        }
    }

    /// The update that adds credits which roll over.
    fn add(&self, team: &TeamId, credits: Credits, condition: &str) -> Result<Update, Error> {
        use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(team)))
            .update_expression("SET credits = credits + :more, mark = mark + :more")
            .condition_expression(condition)
            .expression_attribute_values(":more", keys::number(credits.get()))
            .return_values_on_condition_check_failure(AllOld);
        let uses_account = condition.contains(":active");
        let update = if uses_account {
            update.expression_attribute_values(":active", keys::text(Account::Active.as_str()))
        } else {
            update
        };
        update.build().map_err(Error::internal)
    }

    /// The update that ends a pending purchase.
    fn conclude(
        &self,
        purchase: &Purchase,
        status: Status,
        reason: Option<&str>,
    ) -> Result<Update, Error> {
        let set = match reason {
            Some(_) => "SET #status = :status, reason = :reason",
            None => "SET #status = :status",
        };
        let status = serde_dynamo::to_attribute_value(status).map_err(Error::internal)?;
        let pending = serde_dynamo::to_attribute_value(Status::Pending).map_err(Error::internal)?;
        let mut update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::purchase(&purchase.team, &purchase.id)))
            .update_expression(set)
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", status)
            .expression_attribute_values(":pending", pending);
        if let Some(reason) = reason {
            update = update.expression_attribute_values(":reason", keys::text(reason));
        }
        update.build().map_err(Error::internal)
    }

    /// The put that brings the entry of a purchase into the history.
    fn list(&self, entry: &Entry) -> Result<Put, Error> {
        let mut item: keys::Item = serde_dynamo::to_item(entry).map_err(Error::internal)?;
        item.extend(keys::entry(entry));
        item.extend(keys::in_history(entry));
        Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .build()
            .map_err(Error::internal)
    }
}
