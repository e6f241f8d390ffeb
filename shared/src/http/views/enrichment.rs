//! The restart of enrichment.

use serde::Serialize;

use super::balance::Enrichment;
use crate::domain::Credits;
use crate::domain::ids::TeamId;
use crate::domain::pool::Pool;

/// A team whose enrichment was restarted.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestartView {
    team: TeamId,
    enrichment: Enrichment,
    credits: TotalView,
    monitored_accounts: ResumedView,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = TotalCredits))]
struct TotalView {
    /// The credits that can be spent.
    total: Credits,
}

/// The numbers of monitored accounts.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ResumedAccounts))]
struct ResumedView {
    /// The accounts that were resumed.
    resumed: u64,
    /// The accounts that remain paused.
    paused: u64,
}

impl RestartView {
    /// A pool after a restart that resumed accounts and left others paused.
    #[must_use]
    pub fn new(pool: &Pool, resumed: u64, paused: u64) -> Self {
        Self {
            team: pool.team.clone(),
            enrichment: Enrichment::of(pool),
            credits: TotalView { total: pool.balance.credits },
            monitored_accounts: ResumedView { resumed, paused },
        }
    }
}
