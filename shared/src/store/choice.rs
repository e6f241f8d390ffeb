//! What people of a team decide: its settings, and that enrichment goes on.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;

use super::failure::unmet;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::{Account, Pool};
use crate::domain::settings::Settings;
use crate::domain::time::Time;

impl Store {
    /// Restarts enrichment. The pool after it.
    ///
    /// # Errors
    /// Those of [`Pool::check_restart`]; [`Error::NotFound`], [`Error::Busy`], [`Error::Internal`].
    pub async fn restart(&self, team: &TeamId, now: Time) -> Result<Pool, Error> {
        let mut patience = self.patience();
        let mut has_tried = false;
        loop {
            let pool = self.pool(team, now).await?;
            match pool.check_restart() {
                // This very call has done it and its answer got lost, or somebody else came first.
                Err(Error::NothingToRestart) if has_tried => return Ok(pool),
                checked => checked?,
            }
            has_tried = true;
            let restart = self
                .client
                .update_item()
                .update_expression("REMOVE paused_at, refused")
                .condition_expression(
                    "attribute_exists(paused_at) AND credits > :none AND terms.account = :active",
                )
                .expression_attribute_values(":none", keys::number(0))
                .expression_attribute_values(":active", keys::text(Account::Active.as_str()));
            if let Some(pool) = self.decide(team, restart).await? {
                self.shortages.forget(team);
                return Ok(pool);
            }
            patience.pause().await?;
        }
    }

    /// Puts other settings in the place of those that a team has. Automatic top-ups begin anew by
    /// that, whatever has failed before. The pool after it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn set(&self, team: &TeamId, settings: &Settings, now: Time) -> Result<Pool, Error> {
        self.pool(team, now).await?.check_open()?;
        let settings = serde_dynamo::to_attribute_value(settings).map_err(Error::internal)?;
        let set = self
            .client
            .update_item()
            .update_expression("SET settings = :settings REMOVE failed_top_up")
            .condition_expression("terms.account = :active")
            .expression_attribute_values(":settings", settings)
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
        let pool = self.patiently(|| async {
            match update.clone().send().await {
                Ok(done) => Ok(done.attributes),
                Err(error) => unmet(error).map(|_| None),
            }
        });
        pool.await?.map(serde_dynamo::from_item).transpose().map_err(Error::internal)
    }
}
