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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BalanceView {
    team: TeamId,
    /// The plan. Null without a subscription.
    plan: Option<String>,
    /// The seats. Null without a subscription.
    seats: Option<u32>,
    /// Whether the subscription ends with the cycle.
    cancelled: bool,
    credits: CreditsView,
    /// The current cycle. Null without a subscription.
    cycle: Option<CycleView>,
    /// The day of the next grant. Null if the plan grants nothing again.
    next_refill: Option<Date>,
    enrichment: Enrichment,
    /// The time at which enrichment was paused. Null while it runs.
    paused_at: Option<Time>,
    auto_top_up: TopUpState,
    account: Account,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BalanceCredits))]
struct CreditsView {
    /// The credits that can be spent: free and purchased ones.
    total: Credits,
    /// Credits that the plan granted. They are spent first.
    free: Credits,
    /// Credits that were bought or given. They do not lapse.
    purchased: Credits,
    /// The credits in open holds, which are not part of the total.
    held: Credits,
}

/// The credits of the caller's team in the shape of lemlist's public API. Gifted credits are in `paid`.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TeamCreditsView {
    credits: Credits,
    details: DetailsView,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = TeamCreditsDetails))]
struct DetailsView {
    remaining: RemainingView,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RemainingCredits))]
struct RemainingView {
    total: Credits,
    /// The free credits of a trial plan.
    freemium: Credits,
    /// The free credits of any other plan.
    subscription: Credits,
    /// Always 0.
    gifted: Credits,
    /// Credits that were bought or given.
    paid: Credits,
}

impl TeamCreditsView {
    /// The credits of a pool whose plan may be a trial.
    #[must_use]
    pub fn new(pool: &Pool, is_trial: bool) -> Self {
        let (total, free) = (pool.balance.credits, pool.balance.free());
        let (freemium, subscription) =
            if is_trial { (free, Credits::ZERO) } else { (Credits::ZERO, free) };
        let (gifted, paid) = (Credits::ZERO, pool.balance.purchased());
        let remaining = RemainingView { total, freemium, subscription, gifted, paid };
        Self { credits: total, details: DetailsView { remaining } }
    }
}

/// A team whose account was closed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClosedView {
    team: TeamId,
    account: Account,
}

impl From<Pool> for ClosedView {
    fn from(pool: Pool) -> Self {
        Self { team: pool.team, account: pool.terms.account }
    }
}

/// Whether a team's enrichment is paused.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
