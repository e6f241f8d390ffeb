//! What people of a team decide: its settings, and that enrichment goes on.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;

use super::failure::unmet;
use super::requests::retry_within;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::monitored_account::{MonitoredAccount, Status};
use crate::domain::pool::{Account, Pool};
use crate::domain::projection::Projection;
use crate::domain::settings::Settings;
use crate::domain::time::Time;

/// The result of a restart.
#[derive(Clone, Debug)]
pub struct Restarted {
    /// The team as it is after it.
    pub view: Projection,
    /// The monitored accounts whose month was charged, so that they are active again.
    pub resumed: u64,
    /// The monitored accounts that the credits did not cover.
    pub still_paused: u64,
}

impl Store {
    /// Restarts enrichment, then charges and resumes the monitored accounts that the team could not
    /// pay, as many as its credits cover.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`], [`Error::NothingToRestart`] if enrichment runs
    /// and no account is paused, [`Error::InsufficientCredits`] without any credits;
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn restart(&self, team: &TeamId, now: Time) -> Result<Restarted, Error> {
        let pool = self.pool(team, now).await?;
        pool.check_open()?;
        let mut accounts = self.paused_accounts(team).await?;
        if !pool.is_paused() && accounts.is_empty() {
            return Err(Error::NothingToRestart);
        }
        self.view(team, now).await?.pool.check_restart()?;
        if let Some(pause) = pool.pause() {
            self.end_pause(team, pause).await?;
            // The schedule may have paused one since.
            accounts = self.paused_accounts(team).await?;
        }
        let billed = Box::pin(self.resume_accounts(team, accounts, now)).await?;
        let count = |is_refused: bool| {
            let billed = billed.iter().filter(|billed| billed.refused.is_some() == is_refused);
            u64::try_from(billed.count()).unwrap_or(u64::MAX)
        };
        let view = self.view(team, now).await?;
        Ok(Restarted { view, resumed: count(false), still_paused: count(true) })
    }

    async fn paused_accounts(&self, team: &TeamId) -> Result<Vec<MonitoredAccount>, Error> {
        let mut accounts = self.monitored(team).await?;
        accounts.retain(|account| account.status == Status::Paused);
        Ok(accounts)
    }

    /// Ends the pause with that number, unless it is over.
    async fn end_pause(&self, team: &TeamId, pause: u64) -> Result<(), Error> {
        let restart = self
            .client
            .update_item()
            .update_expression("REMOVE paused_at, refused")
            .condition_expression("pauses = :pause AND terms.account = :active")
            .expression_attribute_values(":pause", keys::number(pause))
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()));
        if self.decide(team, restart).await?.is_none() {
            let pool = self.read_pool(team).await?.ok_or(Error::NotFound("team"))?;
            pool.check_open()?;
        }
        self.refusals.remove(team);
        Ok(())
    }

    /// Replaces a team's settings. A failed automatic top-up no longer blocks the next one. Returns the
    /// pool after it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn set(&self, team: &TeamId, settings: &Settings, now: Time) -> Result<Pool, Error> {
        self.pool(team, now).await?.check_open()?;
        let top_up =
            serde_dynamo::to_attribute_value(settings.auto_top_up).map_err(Error::internal)?;
        let set = self
            .client
            .update_item()
            .update_expression(
                "SET settings.low_balance_threshold = :low, settings.auto_top_up = :top_up \
                 REMOVE failed_top_up, top_up_waits",
            )
            .condition_expression("terms.account = :active")
            .expression_attribute_values(":low", keys::number(settings.low_balance_threshold.get()))
            .expression_attribute_values(":top_up", top_up)
            .expression_attribute_values(":active", keys::text(Account::Active.as_str()));
        self.decide(team, set).await?.ok_or(Error::AccountClosed)
    }

    /// The pool after an update; `None` if its condition did not hold.
    async fn decide(
        &self,
        team: &TeamId,
        update: UpdateItemFluentBuilder,
    ) -> Result<Option<Pool>, Error> {
        let update = update
            .table_name(&*self.table)
            .set_key(Some(keys::pool(team)))
            .return_values(ReturnValue::AllNew);
        let mut budget = self.retry_budget().with_short_pauses();
        let pool = retry_within(&mut budget, || async {
            match update.clone().send().await {
                Ok(done) => Ok(done.attributes),
                Err(error) => unmet(error).map(|_| None),
            }
        });
        pool.await?.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }
}
