//! A team's balance.

use jiff::civil::Date;
use serde::Serialize;

use super::subscription::CycleView;
use crate::domain::Credits;
use crate::domain::ids::TeamId;
use crate::domain::pool::{Account, Pool};
use crate::domain::time::Time;
use crate::domain::top_up::TopUpState;

/// A team's balance and the state of its account.
#[derive(Clone, Debug, Serialize)]
pub struct BalanceView {
    team: TeamId,
    plan: Option<String>,
    seats: Option<u32>,
    cancelled: bool,
    credits: CreditsView,
    cycle: Option<CycleView>,
    next_refill: Option<Date>,
    enrichment: Enrichment,
    paused_at: Option<Time>,
    auto_top_up: TopUpState,
    account: Account,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct CreditsView {
    total: Credits,
    free: Credits,
    purchased: Credits,
    held: Credits,
}

/// Whether a team's enrichment is paused.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Enrichment {
    /// Enrichment is charged.
    Running,
    /// Enrichment charges are refused until a restart.
    Paused,
}

impl Enrichment {
    /// The state of enrichment in a pool.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        if pool.is_paused() { Self::Paused } else { Self::Running }
    }
}

impl BalanceView {
    /// The balance of a pool with `held` credits in open holds.
    #[must_use]
    pub fn new(pool: &Pool, held: Credits) -> Self {
        let subscription = pool.terms.subscription.as_ref();
        Self {
            team: pool.team.clone(),
            plan: subscription.map(|subscription| subscription.plan.clone()),
            seats: subscription.map(|subscription| subscription.seats),
            cancelled: subscription.is_some_and(|subscription| subscription.cancelled),
            credits: CreditsView {
                total: pool.balance.credits,
                free: pool.balance.free(),
                purchased: pool.balance.purchased(),
                held,
            },
            cycle: pool.terms.cycle.map(CycleView::from),
            next_refill: pool.next_refill(),
            enrichment: Enrichment::of(pool),
            paused_at: pool.paused_at,
            auto_top_up: pool.top_up_state(),
            account: pool.terms.account,
        }
    }
}
