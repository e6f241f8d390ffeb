//! The usage of a cycle.

use serde::Serialize;

use super::subscription::CycleView;
use crate::domain::Credits;
use crate::domain::catalogue::Catalogue;
use crate::domain::credits::TooMany;
use crate::domain::money::Amount;
use crate::domain::pool::Pool;
use crate::domain::pool::spend::Forecast;
use crate::domain::pool::usage::ActionUsage;
use crate::domain::statement::{Spending, Statement};
use crate::domain::time::Time;

/// The usage of a cycle. `amount` is the price of the purchased credits. Only the current cycle has a
/// forecast.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageView {
    /// The cycle. Null for a team without a subscription.
    cycle: Option<CycleView>,
    plan: Option<String>,
    actions: Vec<ActionUsage>,
    credits: SpendingView,
    /// The price of the purchased credits.
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    forecast: Option<Forecast>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Spending))]
struct SpendingView {
    spent: Credits,
    free_spent: Credits,
    purchased_spent: Credits,
    granted: Credits,
    purchased: Credits,
    gifted: Credits,
    /// The free credits that lapsed. Null for the current cycle.
    expired: Option<Credits>,
}

impl UsageView {
    /// The usage of the current cycle, including `before`: the statement of cycles that started on the same
    /// day.
    ///
    /// # Errors
    /// [`TooMany`] if a sum leaves its range.
    pub fn current(
        pool: &Pool,
        before: Option<Statement>,
        catalogue: &Catalogue,
        now: Time,
    ) -> Result<Self, TooMany> {
        let mut used = pool.used.clone();
        let mut credits = Spending::of_current_cycle(pool)?;
        if let Some(before) = before {
            used.merge(&before.used)?;
            credits = before.credits.and(credits)?;
        }
        Ok(Self {
            cycle: pool.terms.cycle.map(CycleView::from),
            plan: pool.terms.subscription.as_ref().map(|current| current.plan.clone()),
            actions: used.actions(catalogue).collect(),
            credits: credits.into(),
            amount: credits.amount(catalogue.currency()),
            forecast: Some(pool.weeks.forecast(pool.balance.credits, now)?),
        })
    }

    /// The usage of a past cycle.
    #[must_use]
    pub fn past(statement: Statement, catalogue: &Catalogue) -> Self {
        let Statement { start, end, plan, used, credits, .. } = statement;
        Self {
            cycle: Some(CycleView { start, end }),
            plan,
            actions: used.actions(catalogue).collect(),
            credits: credits.into(),
            amount: credits.amount(catalogue.currency()),
            forecast: None,
        }
    }
}

impl From<Spending> for SpendingView {
    fn from(spending: Spending) -> Self {
        let Spending {
            spent,
            free_spent,
            purchased_spent,
            granted,
            purchased,
            gifted,
            expired,
            ..
        } = spending;
        Self { spent, free_spent, purchased_spent, granted, purchased, gifted, expired }
    }
}

/// The cycles of a team, the newest first.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CycleListView {
    cycles: Vec<CycleView>,
}

impl CycleListView {
    /// The cycles of the statements, oldest first, and the current cycle of the pool.
    #[must_use]
    pub fn new(statements: &[Statement], pool: &Pool) -> Self {
        let past = statements.iter().map(|past| CycleView { start: past.start, end: past.end });
        let mut cycles: Vec<CycleView> =
            past.chain(pool.terms.cycle.map(CycleView::from)).collect();
        cycles.reverse();
        cycles.dedup_by_key(|cycle| cycle.start);
        Self { cycles }
    }
}
