//! A team's settings.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::settings::{AutoTopUp, Settings};

/// A team's settings.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsView {
    /// The event `credits.low` is sent when the credits fall below this. Null if it is off.
    low_balance_threshold: Option<Credits>,
    /// The automatic top-up. Null if it is off.
    auto_top_up: Option<AutoTopUpView>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct AutoTopUpView {
    /// A top-up is due when the credits fall below this.
    below: Credits,
    /// The credits of one top-up.
    credits: Credits,
    /// The most credits of all top-ups in a calendar month (UTC).
    monthly_limit: Credits,
}

impl From<Settings> for SettingsView {
    fn from(settings: Settings) -> Self {
        let auto_top_up = settings.auto_top_up.map(|top_up| {
            let AutoTopUp { below, credits, monthly_limit } = top_up;
            AutoTopUpView { below, credits, monthly_limit }
        });
        let threshold = settings.low_balance_threshold;
        Self { low_balance_threshold: (!threshold.is_zero()).then_some(threshold), auto_top_up }
    }
}
