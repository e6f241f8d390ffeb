//! The settings of a team.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::{from_item, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::settings::SettingsChange;
use crate::domain::time::Time;

impl Store {
    /// Changes a team's settings. After a change of the automatic top-up, one that has failed no longer blocks the next
    /// one. Returns the pool after it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::AccountClosed`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn settings_change(
        &self,
        team: &TeamId,
        settings: &SettingsChange,
        now: Time,
    ) -> Result<Pool, Error> {
        let pool = self.pool_current(team, now).await?;
        pool.check_open()?;
        let mut change = Expression::on(keys::pool(team)).when_active();
        let SettingsChange { low_balance_threshold, auto_top_up } = settings;
        if low_balance_threshold.is_none() && auto_top_up.is_none() {
            return Ok(pool);
        }
        if let Some(threshold) = low_balance_threshold {
            change = change.set("settings.low_balance_threshold = :low").value(":low", threshold);
        }
        if let Some(top_up) = auto_top_up {
            change = change
                .set("settings.auto_top_up = :top_up")
                .value(":top_up", top_up)
                .remove("failed_top_up, top_up_waits");
        }
        let mut budget = self.retry_budget().with_short_pauses();
        let updated = self.item_update(change, &mut budget).await?;
        from_item(updated.written().ok_or(Error::AccountClosed)?)
    }
}
