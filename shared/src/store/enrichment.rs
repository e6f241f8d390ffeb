//! The restart of enrichment after it was paused.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys;
use super::monitored_account::Billed;
use super::monitored_month::DueMonth;
use crate::domain::Error;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::TeamId;
use crate::domain::monitored_account::{MonitoredAccount, MonitoringStatus};
use crate::domain::projection::Projection;
use crate::domain::time::Time;

/// The result of a restart.
#[derive(Clone, Debug)]
pub struct Restarted {
    /// The team after it.
    pub projection: Projection,
    /// The monitored accounts whose month was charged, so that they are active again.
    pub resumed: u64,
    /// The monitored accounts that the credits did not cover.
    pub still_paused: u64,
}

impl Store {
    /// Restarts enrichment, then charges and resumes the monitored accounts that the team could not pay, as many as its
    /// credits cover at the prices of `list`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`], [`Error::NothingToRestart`] if enrichment runs and no account is
    /// paused, [`Error::InsufficientCredits`] without any credits, [`Error::Invalid`] if accounts are paused and the
    /// product has no monitored accounts any more; [`Error::Busy`], [`Error::Internal`].
    pub async fn enrichment_restart(
        &self,
        team: &TeamId,
        list: &PriceList,
        now: Time,
    ) -> Result<Restarted, Error> {
        let pool = self.pool_current(team, now).await?;
        pool.check_open()?;
        let mut accounts = self.monitored_account_list_paused(team).await?;
        if !pool.is_paused() && accounts.is_empty() {
            return Err(Error::NothingToRestart);
        }
        self.projection_read(team, now).await?.pool.check_has_credits()?;
        if let Some(pause) = pool.pause() {
            self.pause_end(team, pause).await?;
            // The schedule may have paused one since.
            accounts = self.monitored_account_list_paused(team).await?;
        }
        let mut due = Vec::new();
        for account in accounts {
            if let Some(bill) = account.first_bill(now.day()) {
                due.push(DueMonth::new(account, bill, list, now)?);
            }
        }
        let billed = self.months_charge(team, due, now).await?;
        let count = |is_refused: bool| {
            let is_counted = |billed: &&Billed| billed.refusal.is_some() == is_refused;
            u64::try_from(billed.iter().filter(is_counted).count()).unwrap_or(u64::MAX)
        };
        let projection = self.projection_read(team, now).await?;
        Ok(Restarted { projection, resumed: count(false), still_paused: count(true) })
    }

    async fn monitored_account_list_paused(
        &self,
        team: &TeamId,
    ) -> Result<Vec<MonitoredAccount>, Error> {
        let mut accounts = self.monitored_account_list(team).await?;
        accounts.retain(|account| account.status == MonitoringStatus::Paused);
        Ok(accounts)
    }

    /// Ends the pause with that number, unless it has ended.
    async fn pause_end(&self, team: &TeamId, pause: u64) -> Result<(), Error> {
        let restart = Expression::on(keys::pool(team))
            .remove("paused_at, refused")
            .when("pauses = :pause")
            .value(":pause", pause)
            .when_active();
        let mut budget = self.retry_budget().with_short_pauses();
        if !self.item_update(restart, &mut budget).await?.is_written() {
            self.pool_read(team).await?.check_open()?;
        }
        self.refusals.remove(team);
        Ok(())
    }
}
