//! Monitored accounts: added, removed, listed, and billed.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::Store;
use super::dynamo::{from_item, keys};
pub use super::monitored_month::Billed;
use super::monitored_month::{CONCURRENT_ACCOUNTS_MAX, DueMonth};
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::monitored_account::{MonitoredAccount, MonitoringStatus};
use crate::domain::time::Time;
use crate::domain::{Error, Resource};

impl Store {
    /// Monitors an account from now on. Its first month is charged now at the prices of `list`, unless it is paid
    /// already.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the product has no monitored accounts;
    /// [`Error::NotFound`] (the team); the refusals of the charge, [`Error::AccountClosed`],
    /// [`Error::EnrichmentPaused`] and [`Error::InsufficientCredits`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn monitored_account_add(
        &self,
        team: &TeamId,
        id: &AccountId,
        list: &PriceList,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        let mut budget = self.retry_budget();
        loop {
            self.pool_current(team, now).await?.check_open()?;
            let found = self.monitored_account_read(team, id).await?;
            let seen =
                found.unwrap_or_else(|| MonitoredAccount::new(team.clone(), id.clone(), now.day()));
            let Some(bill) = seen.first_bill(now.day()) else {
                if seen.status == MonitoringStatus::Active {
                    return Ok(seen);
                }
                let active = seen.with_status(MonitoringStatus::Active);
                if let Some(account) = self.monitored_account_put(&seen, active).await? {
                    return Ok(account);
                }
                budget.back_off().await?;
                continue;
            };
            let due = DueMonth::new(seen, bill, list, now)?;
            match self.months_charge(team, vec![due], now).await?.pop() {
                Some(Billed { refusal: Some(error), .. }) => return Err(error),
                Some(Billed { account, .. }) => return Ok(account),
                // Another request has changed the account.
                None => budget.back_off().await?,
            }
        }
    }

    /// Monitors an account no longer. Paid months stay paid.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the team or the account), [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn monitored_account_remove(
        &self,
        team: &TeamId,
        id: &AccountId,
        now: Time,
    ) -> Result<MonitoredAccount, Error> {
        self.pool_current(team, now).await?.check_open()?;
        let mut budget = self.retry_budget();
        loop {
            let found = self.monitored_account_read(team, id).await?;
            let seen = found.ok_or(Error::NotFound(Resource::MonitoredAccount))?;
            let removed = seen.with_status(MonitoringStatus::Removed);
            if let Some(account) = self.monitored_account_put(&seen, removed).await? {
                return Ok(account);
            }
            budget.back_off().await?;
        }
    }

    /// All accounts that a team has monitored, removed ones included, by id.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn monitored_account_list(
        &self,
        team: &TeamId,
    ) -> Result<Vec<MonitoredAccount>, Error> {
        let found = self.items_range(keys::team(team), keys::ACCOUNTS, keys::ACCOUNTS_END).await?;
        found.into_iter().map(from_item).collect()
    }

    /// Charges the due months of these accounts of a team at the prices of `list`. An account whose month the team
    /// cannot pay is paused. An account without a due month has no result.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the product has no monitored accounts; [`Error::NotFound`] (the team), [`Error::Busy`],
    /// [`Error::Internal`]; months without a result stay due.
    pub async fn monitored_account_bill(
        &self,
        team: &TeamId,
        accounts: Vec<AccountId>,
        list: &PriceList,
        now: Time,
    ) -> Result<Vec<Billed>, Error> {
        let read =
            stream::iter(accounts).map(async |id| self.monitored_account_read(team, &id).await);
        let read: Vec<_> = read.buffered(CONCURRENT_ACCOUNTS_MAX).try_collect().await?;
        let mut due = Vec::new();
        for account in read.into_iter().flatten() {
            if let Some(bill) = account.due_bill(now.day()) {
                due.push(DueMonth::new(account, bill, list, now)?);
            }
        }
        self.months_charge(team, due, now).await
    }
}
