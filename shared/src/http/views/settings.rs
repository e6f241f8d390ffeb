//! A team's settings.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::settings::{AutoTopUp, Settings};

/// A team's settings.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SettingsView {
    /// Null if it is off.
    low_balance_threshold: Option<Credits>,
    auto_top_up: Option<AutoTopUpView>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct AutoTopUpView {
    below: Credits,
    credits: Credits,
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
