//! Purchases, step by step.
//!
//! A purchase is begun before the payment and settled after it. The entry of its order contains the caller's key from
//! the beginning; the entry of its credits is put when the money was taken.

use super::Store;
use super::customer::customer_replaced;
use super::dynamo::expression::Expression;
use super::dynamo::transaction::{Leg, Transaction};
use super::dynamo::{from_item, keys};
use super::entry::EntryResult;
use super::history::Position;
use crate::domain::ids::{Id, ProviderId, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::limits::{POOL_CREDITS_MAX, check_room};
use crate::domain::payment::{Decline, RequestedPayment, Unassigned};
use crate::domain::pool::Pool;
use crate::domain::pool::top_ups::TopUps;
use crate::domain::purchase::{FIRST_CHECK_SECONDS, Purchase, PurchaseStatus};
use crate::domain::time::Time;
use crate::domain::{Error, Resource};

/// A page of purchases.
#[derive(Clone, Debug)]
pub struct PurchasePage {
    /// The purchases, newest first.
    pub purchases: Vec<Purchase>,
    /// The position after which the next page starts; `None` on the last page.
    pub next: Option<Position>,
}

impl Transaction {
    /// Puts a purchase and the entry of its order. Returns the leg of the entry.
    pub(super) fn put_purchase(&mut self, purchase: &Purchase) -> Result<Leg, Error> {
        let mut listed = keys::purchase(&purchase.team, &purchase.id);
        listed.extend(keys::in_purchases(purchase));
        if purchase.status == PurchaseStatus::Pending {
            let first_check = purchase.at.plus_seconds(FIRST_CHECK_SECONDS);
            listed.extend(keys::purchase_due(&purchase.team, first_check));
        }
        self.put_new(purchase, listed)?;
        let order = purchase.order();
        self.put_new(&order, keys::entry(&order))
    }
}

impl Store {
    /// Records a purchase that is to be paid, or finds the one of the same request. Returns the purchase, and whether
    /// it existed.
    ///
    /// # Errors
    /// [`Error::KeyReused`]; for a new one [`Error::NotFound`], [`Error::AccountClosed`] and [`Error::Invalid`] for a
    /// pool that is too large; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_begin(&self, purchase: &Purchase) -> Result<(Purchase, bool), Error> {
        let pending = Expression::on(keys::pool(&purchase.team))
            .add_pending_purchase()
            .when_active()
            .when("credits <= :max")
            .value(":max", POOL_CREDITS_MAX);
        let mut transaction = self.transaction();
        let pool = transaction.update(pending)?;
        let order = transaction.put_purchase(purchase)?;
        let Some(cancelled) = self.transact(&transaction, &mut self.retry_budget()).await? else {
            return Ok((purchase.clone(), false));
        };
        if let Some(image) = cancelled.image(order) {
            return match EntryResult::of_image(image, &purchase.order())? {
                EntryResult::Refused(error) => Err(error),
                EntryResult::Created(_) | EntryResult::Replayed(_) => {
                    Ok((self.purchase_read(&purchase.team, &purchase.id).await?, true))
                }
            };
        }
        let pool: Pool = from_item(cancelled.image(pool).ok_or(Error::NotFound(Resource::Team))?)?;
        pool.check_open()?;
        check_room(pool.balance.credits)?;
        Err(Error::Busy)
    }

    /// Adds the credits of a purchase that was paid elsewhere, or finds the one of the same request. Returns the
    /// purchase, and whether it existed.
    ///
    /// # Errors
    /// [`Error::KeyReused`]; for a new one [`Error::NotFound`], [`Error::AccountClosed`] and [`Error::Invalid`] for a
    /// pool that is too large; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_record(&self, purchase: &Purchase) -> Result<(Purchase, bool), Error> {
        let Purchase { team, at: now, .. } = purchase;
        let paid = Expression::on(keys::pool(team))
            .add_purchase(purchase)
            .when("credits <= :max")
            .value(":max", POOL_CREDITS_MAX)
            .when_active()
            .when_not_due(*now);
        let mut transaction = self.transaction();
        transaction.update(paid)?;
        let order = transaction.put_purchase(purchase)?;
        transaction.put_entry(&purchase.entry(*now))?;
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let Some(cancelled) = self.transact(&transaction, &mut budget).await? else {
                self.refusals.remove(team);
                return Ok((purchase.clone(), false));
            };
            if cancelled.has_failed(order) {
                let found = self.purchase_replay(purchase).await?;
                return found.map(|found| (found, true)).ok_or(Error::KeyReused);
            }
            let pool = self.pool_current(team, *now).await?;
            pool.check_open()?;
            check_room(pool.balance.credits)?;
            budget.check_left()?;
        }
    }

    /// The purchase that the same request began, if there is one.
    ///
    /// # Errors
    /// [`Error::KeyReused`] if another request began it; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_replay(&self, asked: &Purchase) -> Result<Option<Purchase>, Error> {
        match self.purchase_read(&asked.team, &asked.id).await {
            Ok(found) if found.order().answers(&asked.order()) => Ok(Some(found)),
            Ok(_) => Err(Error::KeyReused),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A purchase.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_read(&self, team: &TeamId, id: &Id) -> Result<Purchase, Error> {
        let found = self.item_get(keys::purchase(team, id)).await?;
        from_item(found.ok_or(Error::NotFound(Resource::Purchase))?)
    }

    /// A page of the purchases of a team, newest first, after a position. A purchase may appear a moment after it was
    /// begun.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_list(
        &self,
        team: &TeamId,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<PurchasePage, Error> {
        // '~' sorts after all times.
        let before = after.map_or("~".to_owned(), ToString::to_string);
        let limit = i32::try_from(limit).map_err(Error::internal)?;
        let query = self.client.query().table_name(&*self.table).index_name(keys::HISTORY_INDEX);
        let query = query
            .key_condition_expression("history = :purchases AND #position < :before")
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":purchases", keys::text(keys::purchases(team)))
            .expression_attribute_values(":before", keys::text(before))
            .scan_index_forward(false)
            .limit(limit);
        let found = self.items_query(query).await?;
        let items = found.items.into_iter().flatten();
        let purchases: Vec<Purchase> = items.map(from_item).collect::<Result<_, _>>()?;
        let last = purchases.last().filter(|_| found.last_evaluated_key.is_some());
        let next = last.map(|last| Position::new(last.at, &last.id));
        Ok(PurchasePage { purchases, next })
    }

    /// Stores the payment that was requested for a pending purchase of an active account, before that payment can take
    /// money, and its customer in place of the one that was seen. Returns the stored purchase: if another process was
    /// first, it has the payment of that process. Returns `None` if another process has stored another customer.
    ///
    /// # Errors
    /// [`Error::AccountClosed`], [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_put_payment(
        &self,
        purchase: &Purchase,
        payment: RequestedPayment,
        seen: Option<&ProviderId>,
    ) -> Result<Option<Purchase>, Error> {
        let Purchase { team, id, .. } = purchase;
        let requested = Expression::on(keys::purchase(team, id))
            .set("payment = :payment")
            .value(":payment", &payment)
            .when("#status = :pending AND attribute_not_exists(payment)")
            .value(":pending", PurchaseStatus::Pending)
            .name("#status", "status");
        let mut transaction = self.transaction();
        let order = transaction.update(requested)?;
        let pool = transaction.check(Expression::on(keys::pool(team)).when_active())?;
        if seen != Some(&payment.customer) {
            transaction.update(customer_replaced(team, &payment.customer, seen))?;
        }
        let Some(cancelled) = self.transact(&transaction, &mut self.retry_budget()).await? else {
            return Ok(Some(Purchase { payment: Some(payment), ..purchase.clone() }));
        };
        if cancelled.has_failed(order) {
            let stored = cancelled.image(order).ok_or(Error::NotFound(Resource::Purchase))?;
            return from_item(stored).map(Some);
        }
        if cancelled.has_failed(pool) {
            let pool = cancelled.image(pool).ok_or(Error::NotFound(Resource::Team))?;
            from_item::<Pool>(pool)?.check_open()?;
            return Err(Error::Busy);
        }
        Ok(None)
    }

    /// Adds the credits of a paid purchase and stores its receipt, once for any number of calls, also after it had
    /// failed: the money was taken. They are added even to an account that was closed meanwhile, whose money is then
    /// unassigned. Returns the stored purchase.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_settle(&self, purchase: &Purchase, now: Time) -> Result<Purchase, Error> {
        if purchase.status == PurchaseStatus::Paid {
            return Ok(purchase.clone());
        }
        let (mut paid, mut is_closed) = (purchase.clone(), false);
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let mut transaction = self.transaction();
            transaction.update(credited(&paid, is_closed, now))?;
            let order = transaction.update(settled(&paid))?;
            transaction.put_entry(&paid.entry(now))?;
            let Some(cancelled) = self.transact(&transaction, &mut budget).await? else {
                self.refusals.remove(&paid.team);
                let (reason, code) = (None, None);
                return Ok(Purchase { status: PurchaseStatus::Paid, reason, code, ..paid });
            };
            if cancelled.has_failed(order) {
                let stored = cancelled.image(order).ok_or(Error::NotFound(Resource::Purchase))?;
                let stored: Purchase = from_item(stored)?;
                if stored.status == PurchaseStatus::Paid {
                    self.refusals.remove(&paid.team);
                    return Ok(stored);
                }
                paid.status = stored.status;
            } else {
                // The cycle is over, so that the credits count in the next one, or the account was closed.
                let pool = self.pool_current(&paid.team, now).await?;
                is_closed = pool.check_open().is_err();
                if is_closed {
                    paid.unassigned = paid.unassigned_in_closed_account();
                }
            }
            budget.check_left()?;
        }
    }

    /// Records that a pending purchase has failed finally. After a failed top-up there is no other one until an admin
    /// puts the settings again. Returns the stored purchase, which is still pending if another process has requested a
    /// payment meanwhile.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_fail(
        &self,
        purchase: &Purchase,
        decline: &Decline,
    ) -> Result<Purchase, Error> {
        let Purchase { team, id, .. } = purchase;
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let mut failed =
                Expression::on(keys::pool(team)).set("pending = pending - :one").value(":one", 1);
            if purchase.top_up {
                let seen = self.pool_read(team).await?.top_ups;
                let counted = seen.ok_or_else(|| Error::internal("no top-up was counted"))?;
                failed = failed
                    .put_top_ups(seen, counted.without(purchase))
                    .set("failed_top_up = :failed")
                    .value(":failed", id);
            }
            let mut transaction = self.transaction();
            transaction.update(failed)?;
            transaction.update(declined(purchase, decline))?;
            if self.transact(&transaction, &mut budget).await?.is_none() {
                let Decline { reason, code } = decline.clone();
                let (status, reason) = (PurchaseStatus::Failed, Some(reason));
                return Ok(Purchase { status, reason, code, ..purchase.clone() });
            }
            let stored = self.purchase_read(team, id).await?;
            if stored.status != PurchaseStatus::Pending || stored.payment != purchase.payment {
                return Ok(stored);
            }
            budget.back_off().await?;
        }
    }

    /// Stores that money of a purchase needs manual handling.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn purchase_put_unassigned(
        &self,
        purchase: &Purchase,
        unassigned: &Unassigned,
    ) -> Result<(), Error> {
        let put = Expression::on(keys::purchase(&purchase.team, &purchase.id))
            .set("unassigned = :unassigned")
            .value(":unassigned", unassigned)
            .when("attribute_exists(pk) AND (attribute_not_exists(unassigned) OR unassigned.payment <> :payment)")
            .value(":payment", &unassigned.payment);
        self.item_update(put, &mut self.retry_budget()).await.map(drop)
    }

    /// Puts the entry of money that went back, once for any number of calls.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn dispute_put(&self, entry: &Entry) -> Result<(), Error> {
        let mut transaction = self.transaction();
        let put = transaction.put_entry(entry)?;
        match self.transact(&transaction, &mut self.retry_budget()).await? {
            Some(cancelled) if !cancelled.has_failed(put) => Err(Error::Busy),
            None | Some(_) => Ok(()),
        }
    }
}

/// The update of the pool that a paid purchase is added to.
fn credited(purchase: &Purchase, is_closed: bool, now: Time) -> Expression {
    let paid = Expression::on(keys::pool(&purchase.team)).add_purchase(purchase);
    let mut paid = paid.when("attribute_exists(pk)").when_not_due(now);
    if purchase.status == PurchaseStatus::Pending {
        paid = paid.set("pending = pending - :one").value(":one", 1);
    }
    if is_closed { paid } else { paid.when_active() }
}

/// The update of a purchase that is paid, from the status that was seen.
fn settled(purchase: &Purchase) -> Expression {
    let settled = concluded(purchase, PurchaseStatus::Paid, purchase.status).remove("reason, code");
    let settled = match &purchase.receipt {
        Some(receipt) => settled.set("receipt = :receipt").value(":receipt", receipt),
        None => settled,
    };
    match &purchase.unassigned {
        Some(money) => settled.set("unassigned = :unassigned").value(":unassigned", money),
        None => settled,
    }
}

/// The update of a pending purchase that fails. Its payment must be as it was seen.
fn declined(purchase: &Purchase, Decline { reason, code }: &Decline) -> Expression {
    let declined = concluded(purchase, PurchaseStatus::Failed, PurchaseStatus::Pending)
        .set("reason = :reason")
        .value(":reason", reason);
    let declined = match code {
        Some(code) => declined.set("code = :code").value(":code", code),
        None => declined,
    };
    match &purchase.payment {
        Some(payment) => declined.when("payment = :payment").value(":payment", payment),
        None => declined.when("attribute_not_exists(payment)"),
    }
}

/// The update that gives a purchase another status.
fn concluded(purchase: &Purchase, to: PurchaseStatus, from: PurchaseStatus) -> Expression {
    Expression::on(keys::purchase(&purchase.team, &purchase.id))
        .set("#status = :to")
        .value(":to", to)
        .remove("due, due_at")
        .when("#status = :from")
        .value(":from", from)
        .name("#status", "status")
}

impl Expression {
    /// Adds the credits of a paid purchase.
    fn add_purchase(self, purchase: &Purchase) -> Self {
        self.set("credits = credits + :credits, mark = mark + :credits")
            .set("totals.bought = totals.bought + :credits")
            .value(":credits", purchase.credits)
            .set("totals.cents = if_not_exists(totals.cents, :none) + :cents")
            .value(":none", 0)
            .value(":cents", purchase.amount.cents)
            .remove("refused")
    }

    /// Counts a purchase that is begun.
    pub(super) fn add_pending_purchase(self) -> Self {
        self.set("pending = if_not_exists(pending, :none) + :one")
            .value(":none", 0)
            .value(":one", 1)
    }

    /// Replaces the count of automatic top-ups in a pool. It must be as it was seen.
    pub(super) fn put_top_ups(self, seen: Option<TopUps>, after: TopUps) -> Self {
        let Some(seen) = seen else {
            return self
                .set("top_ups = :top_ups")
                .value(":top_ups", after)
                .when("attribute_not_exists(top_ups)");
        };
        self.set("top_ups.#month = :month, top_ups.bought = :bought")
            .name("#month", "month")
            .value(":month", after.month)
            .value(":bought", after.bought)
            .when("top_ups.#month = :seen_month AND top_ups.bought = :seen_bought")
            .value(":seen_month", seen.month)
            .value(":seen_bought", seen.bought)
    }
}
