//! The settings of a team.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::{from_item, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::settings::Settings;
use crate::domain::time::Time;

impl Store {
    /// Replaces a team's settings. A failed automatic top-up no longer blocks the next one. Returns the pool after it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn settings_put(
        &self,
        team: &TeamId,
        settings: &Settings,
        now: Time,
    ) -> Result<Pool, Error> {
        self.pool_current(team, now).await?.check_open()?;
        let put = Expression::on(keys::pool(team))
            .set("settings.low_balance_threshold = :low")
            .value(":low", settings.low_balance_threshold)
            .set("settings.auto_top_up = :top_up")
            .value(":top_up", settings.auto_top_up)
            .remove("failed_top_up, top_up_waits")
            .when_active();
        let mut budget = self.retry_budget().with_short_pauses();
        let updated = self.item_update(put, &mut budget).await?;
        from_item(updated.written().ok_or(Error::AccountClosed)?)
    }
}
