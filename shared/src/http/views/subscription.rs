//! A team's subscription.

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::pool::{Pool, Terms};
use crate::domain::subscription::Subscription;
use crate::domain::subscription::cycle::Cycle;
use crate::domain::time::Time;

/// A team's current subscription and the scheduled one. The fields of the current subscription are null
/// while only a scheduled one exists.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubscriptionView {
    plan: Option<String>,
    seats: Option<u32>,
    started_at: Option<Time>,
    account_created_at: Option<Time>,
    /// The agreed credits of a grant, for a plan with an agreed amount.
    included_credits: Option<Credits>,
    /// Whether the subscription ends with the cycle.
    cancelled: bool,
    cycle: Option<CycleView>,
    /// The day of the next grant. Null if the plan grants nothing again.
    next_refill: Option<Date>,
    /// The subscription that begins later. Null if there is none.
    scheduled: Option<ScheduledView>,
    /// The newest version of the billing system's changes.
    version: Option<u64>,
}

/// A subscription that begins later.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ScheduledSubscription))]
struct ScheduledView {
    plan: String,
    seats: u32,
    started_at: Time,
    included_credits: Option<Credits>,
}

impl SubscriptionView {
    /// The subscription of a pool; `None` without a current and a scheduled one.
    #[must_use]
    pub fn of(pool: &Pool) -> Option<Self> {
        let Terms { subscription, scheduled, account_created_at, cycle, .. } = &pool.terms;
        if subscription.is_none() && scheduled.is_none() {
            return None;
        }
        let current = subscription.as_ref();
        Some(Self {
            plan: current.map(|current| current.plan.clone()),
            seats: current.map(|current| current.seats),
            started_at: current.map(|current| current.started_at),
            account_created_at: *account_created_at,
            included_credits: current.and_then(|current| current.included_credits),
            cancelled: current.is_some_and(|current| current.cancelled),
            cycle: cycle.map(CycleView::from),
            next_refill: pool.next_refill(),
            scheduled: scheduled.as_ref().map(ScheduledView::from),
            version: pool.terms.version(),
        })
    }
}

impl From<&Subscription> for ScheduledView {
    fn from(scheduled: &Subscription) -> Self {
        Self {
            plan: scheduled.plan.clone(),
            seats: scheduled.seats,
            started_at: scheduled.started_at,
            included_credits: scheduled.included_credits,
        }
    }
}

/// The days of a cycle; `end` is the day after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CycleView {
    /// The first day.
    pub start: Date,
    /// The day after the last.
    pub end: Date,
}

impl From<Cycle> for CycleView {
    fn from(Cycle { start, end }: Cycle) -> Self {
        Self { start, end }
    }
}
