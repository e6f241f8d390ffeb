//! The months of monitored accounts.
//!
//! A month is one write: it takes the credits from the pool, puts the ledger entry and updates the account, each under
//! its condition. So an account is active for a month if and only if that month was charged.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::charge::{CHARGES_PER_WRITE_MAX, Totals, pool_charged};
use super::dynamo::expression::Expression;
use super::dynamo::transaction::Transaction;
use super::dynamo::{from_item, keys};
use super::operation::Operation;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::monitored_account::{Bill, MonitoredAccount, MonitoringStatus};
use crate::domain::pool::Pool;
use crate::domain::pool::refusal::StoredRefusal;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most accounts that are read or written concurrently.
pub(super) const CONCURRENT_ACCOUNTS_MAX: usize = 16;

/// The most months that are charged in one write: two legs for each and one for the pool.
const MONTHS_PER_WRITE_MAX: usize = CHARGES_PER_WRITE_MAX / 2;

/// The result of a bill.
#[derive(Clone, Debug)]
pub struct Billed {
    /// The account after it.
    pub account: MonitoredAccount,
    /// The reason if the month was not charged.
    pub refusal: Option<Error>,
}

/// A month to charge.
#[derive(Clone, Debug)]
pub(super) struct DueMonth {
    account: MonitoredAccount,
    bill: Bill,
    entry: Entry,
}

impl DueMonth {
    /// A month at the prices of `list`.
    ///
    /// # Errors
    /// Those of [`MonitoredAccount::entry`].
    pub(super) fn new(
        account: MonitoredAccount,
        bill: Bill,
        list: &PriceList,
        now: Time,
    ) -> Result<Self, Error> {
        let entry = account.entry(&bill, list, now)?;
        Ok(Self { account, bill, entry })
    }
}

impl Store {
    /// Charges months in order, as many as the credits cover, and refuses the rest: an active account whose month is
    /// refused is paused. An account that another process has changed meanwhile has no result.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team), [`Error::Busy`], [`Error::Internal`]; months without a result stay due.
    pub(super) async fn months_charge(
        &self,
        team: &TeamId,
        due: Vec<DueMonth>,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        let mut operation = self.operation(team, now);
        let billed = Box::pin(self.months_charge_in(due, &mut operation)).await;
        self.recall_end(operation).await;
        billed
    }

    async fn months_charge_in(
        &self,
        mut due: Vec<DueMonth>,
        operation: &mut Operation,
    ) -> Result<Vec<Billed>, Error> {
        let mut billed = Vec::new();
        while let Some(first) = due.first() {
            let required = first.entry.amount();
            let pool = self.due_changes_make(operation).await?;
            if let Err(error) = pool.check_open().and_then(|()| pool.check_running()) {
                billed.extend(self.months_refuse(due, &error).await?);
                return Ok(billed);
            }
            let covered = covered(&pool, &due).min(MONTHS_PER_WRITE_MAX);
            if covered == 0 {
                let all = self.projection_read(&pool.team, operation.now).await?.pool;
                let balance = all.balance.credits;
                if balance < required {
                    let error = Error::InsufficientCredits { balance, required };
                    let more = balance.excess_over(pool.balance.credits);
                    self.pool_store_refusal(&pool, first, more, operation).await?;
                    billed.extend(self.months_refuse(due, &error).await?);
                    return Ok(billed);
                }
                let missing = required.excess_over(pool.balance.credits);
                self.credits_gather(&pool, missing, operation).await?;
                continue;
            }
            let later = due.split_off(covered);
            let write = self.months_charged(&pool, &due, operation.now)?;
            if self.transact(&write, &mut operation.budget).await?.is_none() {
                self.refusals.remove(&pool.team);
                let paid = due.iter().map(|due| saved(&due.account, due.account.paid(&due.bill)));
                billed.extend(paid.map(|account| Billed { account, refusal: None }));
                due = later;
            } else {
                operation.budget.back_off().await?;
                due = self.months_unchanged([due, later].concat()).await?;
            }
        }
        Ok(billed)
    }

    /// The write that charges months: the pool pays, and each entry and each account is written.
    fn months_charged(
        &self,
        pool: &Pool,
        due: &[DueMonth],
        now: Time,
    ) -> Result<Transaction, Error> {
        let totals = Totals::of(due.iter().map(|due| &due.entry))?;
        let mut transaction = self.transaction();
        transaction.update(pool_charged(&pool.team, &totals, None, now)?)?;
        for DueMonth { account, bill, entry } in due {
            transaction.put_entry(entry)?;
            transaction.update(account_changed(account, &account.paid(bill)))?;
        }
        Ok(transaction)
    }

    /// Pauses the active accounts among those whose months are refused, or removes them if the team's account is
    /// closed.
    async fn months_refuse(&self, due: Vec<DueMonth>, error: &Error) -> Result<Vec<Billed>, Error> {
        let is_closed = matches!(error, Error::AccountClosed);
        let status = if is_closed { MonitoringStatus::Removed } else { MonitoringStatus::Paused };
        let refused = stream::iter(due).map(async |DueMonth { account, .. }| {
            if account.status != MonitoringStatus::Active {
                return Ok(Some(account));
            }
            self.monitored_account_put(&account, account.with_status(status)).await
        });
        let accounts: Vec<_> = refused.buffered(CONCURRENT_ACCOUNTS_MAX).try_collect().await?;
        let billed = |account| Billed { account, refusal: Some(error.clone()) };
        Ok(accounts.into_iter().flatten().map(billed).collect())
    }

    /// Stores in the pool that it did not cover a month, if that is the first refusal since credits came in. `more`
    /// credits are in lanes and expired holds.
    async fn pool_store_refusal(
        &self,
        pool: &Pool,
        month: &DueMonth,
        more: Credits,
        operation: &mut Operation,
    ) -> Result<(), Error> {
        if pool.refused.is_some() {
            return Ok(());
        }
        let (at, required) = (operation.now, month.entry.amount());
        let action = month.entry.charged().map(|charged| charged.action.clone());
        let action = action.unwrap_or_default();
        let stored = Expression::on(keys::pool(&pool.team))
            .set("refused = :refused")
            .value(":refused", StoredRefusal { at, action, required })
            .when("credits < :enough AND lanes = :lanes AND attribute_not_exists(refused)")
            .value(":enough", required.excess_over(more))
            .value(":lanes", pool.lanes);
        self.item_update(stored, &mut operation.budget).await.map(drop)
    }

    /// The months whose accounts no other process has changed.
    async fn months_unchanged(&self, due: Vec<DueMonth>) -> Result<Vec<DueMonth>, Error> {
        let read = stream::iter(due).map(async |due| {
            let DueMonth { account, .. } = &due;
            let found = self.monitored_account_read(&account.team, &account.id).await?;
            let version = found.map_or(0, |found| found.version);
            Ok::<_, Error>((version == account.version).then_some(due))
        });
        let due: Vec<_> = read.buffered(CONCURRENT_ACCOUNTS_MAX).try_collect().await?;
        Ok(due.into_iter().flatten().collect())
    }

    /// An account that the team has monitored, if there is one.
    pub(super) async fn monitored_account_read(
        &self,
        team: &TeamId,
        id: &AccountId,
    ) -> Result<Option<MonitoredAccount>, Error> {
        self.item_get(keys::account(team, id)).await?.map(from_item).transpose()
    }

    /// Writes an account that was decided on `seen`, if it differs. Returns `None` if another process has changed it
    /// since.
    pub(super) async fn monitored_account_put(
        &self,
        seen: &MonitoredAccount,
        after: MonitoredAccount,
    ) -> Result<Option<MonitoredAccount>, Error> {
        if after == *seen {
            return Ok(Some(after));
        }
        let change = account_changed(seen, &after);
        let updated = self.item_update(change, &mut self.retry_budget()).await?;
        Ok(updated.is_written().then(|| saved(seen, after)))
    }
}

/// The update of an account as it was seen. Attributes of a newer version of the code stay.
fn account_changed(seen: &MonitoredAccount, after: &MonitoredAccount) -> Expression {
    let update = Expression::on(keys::account(&after.team, &after.id))
        .set_all(&saved(seen, after.clone()))
        .put_due(&after.team, after.due_at());
    match seen.version {
        0 => update.when("attribute_not_exists(pk)"),
        seen => update.when("version = :seen").value(":seen", seen),
    }
}

/// The account as it is stored after a write that was decided on `seen`.
fn saved(seen: &MonitoredAccount, after: MonitoredAccount) -> MonitoredAccount {
    MonitoredAccount { version: seen.version.saturating_add(1), ..after }
}

/// The number of these months, from the first one on, that the pool covers.
fn covered(pool: &Pool, due: &[DueMonth]) -> usize {
    let mut left = pool.balance.credits;
    let paid = due.iter().take_while(|due| {
        let rest = left.checked_sub(due.entry.amount());
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    paid.count()
}
