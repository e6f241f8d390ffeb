//! Monitored accounts: added, removed, listed, and paid for month by month.
//!
//! A month is one write: it takes the credits from the pool, puts the ledger entry and updates the
//! account, each under its condition. So an account is active for a month if and only if that month
//! was charged.

use aws_sdk_dynamodb::types::{TransactWriteItem, Update};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::batch::{Batch, CHARGES_PER_WRITE_MAX};
use super::expression::Expression;
use super::recall::Recall;
use super::requests::{put, update};
use super::{Store, keys};
use crate::domain::catalogue::prices::price_list;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::monitored_account::{Bill, MONTH_ACTION, MonitoredAccount, Status};
use crate::domain::pool::Pool;
use crate::domain::pool::refusal::Refused;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// How many accounts are read at a time.
const CONCURRENT_READS_MAX: usize = 16;

/// The most months that are charged in one write: two legs for each and one for the pool.
const MONTHS_PER_WRITE_MAX: usize = CHARGES_PER_WRITE_MAX / 2;

/// The result of a bill.
#[derive(Clone, Debug)]
pub struct Billed {
    /// The account after it.
    pub account: MonitoredAccount,
    /// Why the team could not pay, if it could not.
    pub refused: Option<Error>,
}

/// A month to charge.
#[derive(Clone, Debug)]
struct Due {
    account: MonitoredAccount,
    bill: Bill,
    entry: Entry,
}

impl Due {
    fn new(account: MonitoredAccount, bill: Bill, now: Time) -> Result<Self, Error> {
        let entry = account.entry(&bill, price_list(now)?, now)?;
        Ok(Self { account, bill, entry })
    }
}

impl Store {
    /// Monitors an account from now on. The month that it starts with is charged now, unless it is
    /// paid for already.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team), and the refusals of the charge, after which nothing is changed:
    /// [`Error::AccountClosed`], [`Error::EnrichmentPaused`], [`Error::InsufficientCredits`];
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn monitor(
        &self,
        team: &TeamId,
        id: &AccountId,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        let mut budget = self.retry_budget();
        loop {
            self.pool(team, now).await?.check_open()?;
            let found = self.read_account(team, id).await?;
            let seen =
                found.unwrap_or_else(|| MonitoredAccount::new(team.clone(), id.clone(), now.day()));
            let Some(bill) = seen.first_bill(now.day()) else {
                if seen.status == Status::Active {
                    return Ok(seen);
                }
                let active = seen.with_status(Status::Active);
                if let Some(account) = self.save_account(&seen, active).await? {
                    return Ok(account);
                }
                budget.back_off().await?;
                continue;
            };
            let due = Due::new(seen, bill, now)?;
            match Box::pin(self.charge_months(team, vec![due], now)).await?.pop() {
                Some(Billed { refused: Some(error), .. }) => return Err(error),
                Some(Billed { account, .. }) => return Ok(account),
                // Another request has changed the account.
                None => budget.back_off().await?,
            }
        }
    }

    /// Monitors an account no longer. What is paid stays paid.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team or the account), [`Error::AccountClosed`]; [`Error::Busy`],
    /// [`Error::Internal`].
    pub async fn stop_monitoring(
        &self,
        team: &TeamId,
        id: &AccountId,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        self.pool(team, now).await?.check_open()?;
        let mut budget = self.retry_budget();
        loop {
            let found = self.read_account(team, id).await?;
            let seen = found.ok_or(Error::NotFound("monitored account"))?;
            let removed = seen.with_status(Status::Removed);
            if let Some(account) = self.save_account(&seen, removed).await? {
                return Ok(account);
            }
            budget.back_off().await?;
        }
    }

    /// All accounts that a team has monitored, by their ids, those that it has removed included.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn monitored(&self, team: &TeamId) -> Result<Vec<MonitoredAccount>, Error> {
        let found = self.range(keys::team(team), keys::ACCOUNTS, keys::ACCOUNTS_END).await?;
        let accounts = found.into_iter().map(serde_dynamo::from_item);
        accounts.collect::<Result<_, _>>().map_err(Error::internal)
    }

    /// Charges the due months of these accounts of a team. One that the team cannot pay is paused.
    /// An account that owes nothing has no result.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`]; accounts that were not charged stay due.
    pub async fn bill(
        &self,
        team: &TeamId,
        accounts: Vec<AccountId>,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        let read = stream::iter(accounts).map(async |id| self.read_account(team, &id).await);
        let read: Vec<_> = read.buffered(CONCURRENT_READS_MAX).try_collect().await?;
        let mut due = Vec::new();
        for account in read.into_iter().flatten() {
            if let Some(bill) = account.due_bill(now.day()) {
                due.push(Due::new(account, bill, now)?);
            }
        }
        self.charge_months(team, due, now).await
    }

    /// Charges and resumes paused accounts, as many as the credits cover.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn resume_accounts(
        &self,
        team: &TeamId,
        accounts: Vec<MonitoredAccount>,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        let mut due = Vec::new();
        for account in accounts {
            if let Some(bill) = account.first_bill(now.day()) {
                due.push(Due::new(account, bill, now)?);
            }
        }
        self.charge_months(team, due, now).await
    }

    /// Charges months in order, as many as the credits cover, and refuses the rest. An account that
    /// another process has changed meanwhile has no result.
    async fn charge_months(
        &self,
        team: &TeamId,
        due: Vec<Due>,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        let mut recall = Recall::default();
        let billed = Box::pin(self.charge_months_in_recall(team, due, now, &mut recall)).await;
        self.end_recall(team, recall).await;
        billed
    }

    async fn charge_months_in_recall(
        &self,
        team: &TeamId,
        mut due: Vec<Due>,
        now: Time,
        recall: &mut Recall,
    ) -> Result<Vec<Billed>, Error> {
        let mut billed = Vec::new();
        let mut budget = self.retry_budget();
        while !due.is_empty() {
            let pool = self.pool_within(team, now, &mut budget, recall).await?;
            if let Err(error) = pool.check_open().and_then(|()| pool.check_running()) {
                billed.extend(self.refuse(&pool, due, &error, Credits::ZERO, now).await?);
                return Ok(billed);
            }
            let covered = covered(&pool, &due).min(MONTHS_PER_WRITE_MAX);
            if covered == 0 {
                let view = self.view(team, now).await?.pool;
                let required = due.first().map(|due| due.entry.spent()).unwrap_or_default();
                let balance = view.balance.credits;
                if balance < required {
                    let error = Error::InsufficientCredits { balance, required };
                    let more = balance.excess_over(pool.balance.credits);
                    billed.extend(self.refuse(&pool, due, &error, more, now).await?);
                    return Ok(billed);
                }
                if pool.lanes.is_zero() {
                    let missing = required.excess_over(pool.balance.credits);
                    self.expire_some(&pool, missing, now, &mut budget).await?;
                } else {
                    self.recall_lanes(&pool, now, recall, &budget).await?;
                }
                budget.back_off().await?;
                continue;
            }
            let later = due.split_off(covered);
            if self.transact(self.pay(&pool, &due, now)?, &mut budget).await?.is_none() {
                self.refusals.remove(team);
                let paid = |due: &Due| saved(&due.account, due.account.paid(&due.bill));
                billed.extend(due.iter().map(|due| Billed { account: paid(due), refused: None }));
                due = later;
            } else {
                budget.back_off().await?;
                due = self.unchanged([due, later].concat()).await?;
            }
        }
        Ok(billed)
    }
}

impl Store {
    /// The write that charges months: the pool pays, and each entry and each account is written.
    fn pay(&self, pool: &Pool, due: &[Due], now: Time) -> Result<Vec<TransactWriteItem>, Error> {
        let batch = Batch::of(due.iter().map(|due| due.entry.clone()).collect());
        let mut writes =
            vec![update(self.pool_update(keys::pool(&pool.team), &batch, None, now)?)];
        for Due { account, bill, entry } in due {
            writes.push(put(self.put_entry(entry)?));
            writes.push(update(self.account_update(account, &account.paid(bill))?));
        }
        Ok(writes)
    }

    /// Pauses the active accounts among those whose months are refused, or removes them if the team's
    /// account is closed. `more` credits are in lanes and expired holds.
    async fn refuse(
        &self,
        pool: &Pool,
        due: Vec<Due>,
        error: &Error,
        more: Credits,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        if let Error::InsufficientCredits { required, .. } = error {
            self.note_refusal(pool, *required, more, now).await?;
        }
        let is_closed = matches!(error, Error::AccountClosed);
        let status = if is_closed { Status::Removed } else { Status::Paused };
        let refused = stream::iter(due).map(async |Due { account, .. }| {
            if account.status != Status::Active {
                return Ok(Some(account));
            }
            self.save_account(&account, account.with_status(status)).await
        });
        let accounts: Vec<_> = refused.buffered(CONCURRENT_READS_MAX).try_collect().await?;
        let billed = |account| Billed { account, refused: Some(error.clone()) };
        Ok(accounts.into_iter().flatten().map(billed).collect())
    }

    /// Notes in the pool that it did not cover a month, if that is the first refusal since credits came
    /// in.
    async fn note_refusal(
        &self,
        pool: &Pool,
        required: Credits,
        more: Credits,
        now: Time,
    ) -> Result<(), Error> {
        if pool.refused.is_some() {
            return Ok(());
        }
        let refused = Refused { at: now, action: MONTH_ACTION.to_owned(), required };
        let refused = serde_dynamo::to_attribute_value(refused).map_err(Error::internal)?;
        let note = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&pool.team)))
            .update_expression("SET refused = :refused")
            .condition_expression(
                "credits < :enough AND lanes = :lanes AND attribute_not_exists(refused)",
            )
            .expression_attribute_values(":refused", refused)
            .expression_attribute_values(":enough", keys::number(required.excess_over(more).get()))
            .expression_attribute_values(":lanes", keys::number(pool.lanes.get()))
            .build()
            .map_err(Error::internal)?;
        self.transact(vec![update(note)], &mut self.retry_budget()).await.map(drop)
    }

    /// Those of these months whose accounts no other process has changed.
    async fn unchanged(&self, due: Vec<Due>) -> Result<Vec<Due>, Error> {
        let read = stream::iter(due).map(async |due| {
            let Due { account, .. } = &due;
            let found = self.read_account(&account.team, &account.id).await?;
            let version = found.map_or(0, |found| found.version);
            Ok::<_, Error>((version == account.version).then_some(due))
        });
        let due: Vec<_> = read.buffered(CONCURRENT_READS_MAX).try_collect().await?;
        Ok(due.into_iter().flatten().collect())
    }

    async fn read_account(
        &self,
        team: &TeamId,
        id: &AccountId,
    ) -> Result<Option<MonitoredAccount>, Error> {
        let found = self.get(keys::account(team, id)).await?;
        found.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }

    /// Writes an account that was decided on `seen`, if it differs. `None` if another process has
    /// changed it since.
    async fn save_account(
        &self,
        seen: &MonitoredAccount,
        after: MonitoredAccount,
    ) -> Result<Option<MonitoredAccount>, Error> {
        if after == *seen {
            return Ok(Some(after));
        }
        let write = vec![update(self.account_update(seen, &after)?)];
        let cancelled = self.transact(write, &mut self.retry_budget()).await?;
        Ok(cancelled.is_none().then(|| saved(seen, after)))
    }

    /// The update of an account as it was seen. Attributes of a newer version stay.
    fn account_update(
        &self,
        seen: &MonitoredAccount,
        after: &MonitoredAccount,
    ) -> Result<Update, Error> {
        let mut expression = Expression::default();
        expression.put(&saved(seen, after.clone()))?;
        match after.due_at() {
            Some(at) => {
                expression.set("due = :due, due_at = :due_at");
                expression.value(":due", keys::text(keys::due_shard_of(&after.team)));
                expression.value(":due_at", keys::text(at.to_string()));
            }
            None => expression.remove("due, due_at"),
        }
        if seen.version == 0 {
            expression.condition("attribute_not_exists(pk)");
        } else {
            expression.condition("version = :seen");
            expression.value(":seen", keys::number(seen.version));
        }
        let update = Update::builder().table_name(&*self.table);
        expression.build(update.set_key(Some(keys::account(&after.team, &after.id))))
    }
}

/// The account as it is stored after a write that was decided on `seen`.
fn saved(seen: &MonitoredAccount, after: MonitoredAccount) -> MonitoredAccount {
    MonitoredAccount { version: seen.version.saturating_add(1), ..after }
}

/// How many of these months, from the first one on, the pool covers.
fn covered(pool: &Pool, due: &[Due]) -> usize {
    let mut left = pool.balance.credits;
    let paid = due.iter().take_while(|due| {
        let rest = left.checked_sub(due.entry.spent());
        left = rest.unwrap_or(left);
        rest.is_some()
    });
    paid.count()
}
