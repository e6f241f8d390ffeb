//! Credits that roll over: purchases, step by step, and gifts.
//!
//! A purchase is begun before the payment and settled after it. The entry of its order holds the caller's
//! key from the beginning; that of the credits is written when the money was taken.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::expression::Expression;
use super::failure::LegResult;
use super::outcome::Outcome;
use super::requests::{put, update};
use super::{Store, keys};
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::limits::{POOL_CREDITS_MAX, check_room};
use crate::domain::pool::{Account, Pool};
use crate::domain::purchase::{Purchase, Status};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

impl Store {
    /// Records a purchase that is to be paid, or finds the one that the key stands for already.
    /// The purchase, and whether it was there.
    ///
    /// # Errors
    /// [`Error::KeyReused`]; for a new one [`Error::NotFound`] and [`Error::AccountClosed`];
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn begin(&self, purchase: &Purchase) -> Result<(Purchase, bool), Error> {
        let order = purchase.order();
        let pending = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&purchase.team)))
            .update_expression(
                "SET pending_purchases = if_not_exists(pending_purchases, :none) + :one",
            )
            .condition_expression("terms.account = :active AND credits <= :most")
            .expression_attribute_values(":most", keys::number(POOL_CREDITS_MAX.get()))
            .expression_attribute_values(":none", keys::number(0))
            .expression_attribute_values(":one", keys::number(1))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()))
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)?;
        let mut writes = vec![update(pending)];
        writes.extend(self.record(purchase)?);
        match self.transact(writes, &mut self.retry_budget()).await?.as_deref() {
            None => Ok((purchase.clone(), false)),
            Some([.., LegResult::Failed(Some(image))]) => {
                match Outcome::earlier(image.clone(), &order)? {
                    Outcome::Refused(error) => Err(error),
                    Outcome::Charged(_) | Outcome::Replayed(_) => {
                        Ok((self.purchase(&purchase.team, &purchase.id).await?, true))
                    }
                }
            }
            Some([LegResult::Failed(Some(pool)), ..]) => {
                let pool: Pool = serde_dynamo::from_item(pool.clone()).map_err(Error::internal)?;
                pool.check_open()?;
                check_room(pool.balance.credits)?;
                Err(Error::Busy)
            }
            Some(_) => Err(Error::NotFound("team")),
        }
    }

    /// The puts of a purchase that is begun: itself, and the entry of its order.
    pub(super) fn record(&self, purchase: &Purchase) -> Result<[TransactWriteItem; 2], Error> {
        let order = purchase.order();
        Ok([
            put(self.put_new(purchase, keys::purchase(&purchase.team, &purchase.id))?),
            put(self.put_new(&order, keys::entry(&order))?),
        ])
    }

    /// Finds the purchase that was begun by the very same request, if there is one.
    ///
    /// # Errors
    /// [`Error::KeyReused`] for one of another request; [`Error::Busy`], [`Error::Internal`].
    pub async fn begun(&self, asked: &Purchase) -> Result<Option<Purchase>, Error> {
        match self.purchase(&asked.team, &asked.id).await {
            Ok(found) if found.order().answers(&asked.order()) => Ok(Some(found)),
            Ok(_) => Err(Error::KeyReused),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks a purchase up.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase(&self, team: &TeamId, id: &Id) -> Result<Purchase, Error> {
        let found = self.get(keys::purchase(team, id)).await?;
        let item = found.ok_or(Error::NotFound("purchase"))?;
        serde_dynamo::from_item(item).map_err(Error::internal)
    }

    /// Adds the credits of a purchase whose payment has succeeded, once however often it is called.
    /// They are added even to an account that was closed meanwhile, because the money was taken.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn settle(&self, purchase: &Purchase, now: Time) -> Result<Purchase, Error> {
        let Purchase { team, credits, .. } = purchase;
        let writes = vec![
            update(self.add(team, *credits, Source::Purchase, now)?),
            update(self.conclude(purchase, Status::Paid, None)?),
            put(self.put_entry(&purchase.entry(now))?),
        ];
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            match self.transact(writes.clone(), &mut budget).await?.as_deref() {
                None | Some([_, LegResult::Failed(_), _]) => {
                    self.refusals.remove(team);
                    return self.purchase(team, &purchase.id).await;
                }
                // The cycle is over: what is bought now counts in the next one.
                Some(_) => self.pool(team, now).await.map(drop)?,
            }
            budget.check_left()?;
        }
    }

    /// Records that the payment of a purchase has failed for good, which is the end of automatic
    /// top-ups if it was one. The purchase as it stands then.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn fail(&self, purchase: &Purchase, reason: &str) -> Result<Purchase, Error> {
        if purchase.top_up {
            return self.fail_top_up(purchase, reason).await;
        }
        let done = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&purchase.team)))
            .update_expression("SET pending_purchases = pending_purchases - :one")
            .expression_attribute_values(":one", keys::number(1))
            .build()
            .map_err(Error::internal)?;
        let failed =
            vec![update(done), update(self.conclude(purchase, Status::Failed, Some(reason))?)];
        self.transact(failed, &mut self.retry_budget().with_short_pauses()).await?;
        self.purchase(&purchase.team, &purchase.id).await
    }

    /// Gives credits to a team.
    ///
    /// Its refusals are those of [`Store::charge`], but for the credits.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn gift(&self, gift: Entry) -> Result<Outcome, Error> {
        let Entry { team, at: now, .. } = &gift;
        let (credits, now) = (Credits::new(gift.credits.unsigned_abs()), *now);
        let writes =
            vec![update(self.add(team, credits, Source::Gift, now)?), put(self.put_entry(&gift)?)];
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            match self.transact(writes.clone(), &mut budget).await?.as_deref() {
                None => {
                    self.refusals.remove(team);
                    return Ok(Outcome::Charged(gift));
                }
                Some([_, LegResult::Failed(Some(image))]) => {
                    return Outcome::earlier(image.clone(), &gift);
                }
                Some(_) => match self.pool(team, now).await {
                    Err(error @ Error::NotFound(_)) => return Ok(Outcome::Refused(error)),
                    pool => {
                        let pool = pool?;
                        let room = || check_room(pool.balance.credits);
                        if let Err(error) = pool.check_open().and_then(|()| room()) {
                            return Ok(Outcome::Refused(error));
                        }
                    }
                },
            }
            budget.check_left()?;
        }
    }

    /// The update that adds credits which roll over, and counts them.
    fn add(
        &self,
        team: &TeamId,
        credits: Credits,
        source: Source,
        now: Time,
    ) -> Result<Update, Error> {
        let mut expression = Expression::default();
        expression.set("credits = credits + :more, mark = mark + :more");
        expression.remove("refused");
        expression.condition("(attribute_not_exists(due_at) OR due_at > :now)");
        expression.value(":more", keys::number(credits.get()));
        expression.value(":now", keys::text(now.to_string()));
        match source {
            Source::Purchase => {
                expression.set("tally.bought = tally.bought + :more");
                expression.set("pending_purchases = pending_purchases - :one");
                expression.condition("attribute_exists(pk)");
                expression.value(":one", keys::number(1));
            }
            Source::Gift => {
                expression.set("tally.gifted = tally.gifted + :more");
                expression.condition("terms.account = :active");
                expression.condition("credits <= :most");
                expression.value(":most", keys::number(POOL_CREDITS_MAX.get()));
                expression.value(":active", keys::text(Account::Active.as_str()));
            }
        }
        let update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(team)))
            .return_values_on_condition_check_failure(AllOld);
        expression.build(update)
    }

    /// The update that ends a pending purchase.
    pub(super) fn conclude(
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
}

/// Where credits come from that roll over.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A purchase that was pending.
    Purchase,
    /// A gift.
    Gift,
}
