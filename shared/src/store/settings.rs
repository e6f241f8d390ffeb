//! The settings of a team.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::{from_item, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;
use crate::domain::settings::{AutoTopUp, SettingsChange};
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
        let mut budget = self.retry_budget().with_short_pauses();
        loop {
            let pool = self.pool_current(team, now).await?;
            pool.check_open()?;
            let Some(change) = changed(&pool, settings) else { return Ok(pool) };
            if let Some(item) = self.item_update(change, &mut budget).await?.written() {
                return from_item(item);
            }
            // The account was closed, or the automatic top-up was turned off.
            budget.back_off().await?;
        }
    }
}

/// The update of a pool as it was read; `None` without a setting to change.
fn changed(pool: &Pool, settings: &SettingsChange) -> Option<Expression> {
    let SettingsChange { low_balance_threshold, auto_top_up } = settings;
    if low_balance_threshold.is_none() && auto_top_up.is_none() {
        return None;
    }
    let mut change = Expression::on(keys::pool(&pool.team)).when_active();
    if let Some(threshold) = low_balance_threshold {
        change = change.set("settings.low_balance_threshold = :low").value(":low", threshold);
    }
    if let Some(top_up) = auto_top_up {
        change = match (&pool.settings.auto_top_up, top_up) {
            (Some(_), Some(top_up)) => change.set_top_up(top_up),
            (None, _) | (_, None) => {
                change.set("settings.auto_top_up = :top_up").value(":top_up", top_up)
            }
        };
        change = change.remove("failed_top_up, top_up_waits");
    }
    Some(change)
}

impl Expression {
    /// Changes an automatic top-up that exists. Attributes of a newer version of the code stay.
    fn set_top_up(self, top_up: &AutoTopUp) -> Self {
        self.set("settings.auto_top_up.below = :below")
            .value(":below", top_up.below)
            .set("settings.auto_top_up.credits = :credits")
            .value(":credits", top_up.credits)
            .set("settings.auto_top_up.monthly_limit = :limit")
            .value(":limit", top_up.monthly_limit)
            .when("attribute_exists(settings.auto_top_up.below)")
    }
}
