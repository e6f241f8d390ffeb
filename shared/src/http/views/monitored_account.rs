//! A monitored account.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::ids::AccountId;
use crate::domain::monitored_account::{MonitoredAccount, MonitoringStatus};

/// A monitored account. `next_bill` is null unless the account is active.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MonitoredAccountView {
    id: AccountId,
    status: MonitoringStatus,
    /// The first day of monitoring.
    since: Date,
    /// The day after the last paid month.
    paid_until: Date,
    /// The day of the next charge. Null unless the account is active.
    next_bill: Option<Date>,
}

impl From<MonitoredAccount> for MonitoredAccountView {
    fn from(account: MonitoredAccount) -> Self {
        Self {
            next_bill: account.next_bill(),
            id: account.id,
            status: account.status,
            since: account.since,
            paid_until: account.paid_until,
        }
    }
}
