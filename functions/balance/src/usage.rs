//! `GET /teams/{team}/usage`: the current cycle by action, a past one, or which ones there are.

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::cycle::Cycle;
use shared::domain::forecast::Forecast;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use shared::domain::purchase::Amount;
use shared::domain::statement::{Spending, Statement};
use shared::domain::time::Time;
use shared::domain::usage::ActionUsage;
use shared::http::{App, Caller, Path, Query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    cycle: Option<Date>,
    #[serde(default)]
    list: bool,
}

pub(super) async fn usage(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Value>, Error> {
    caller.may_use(&team)?;
    let now = app.clock.now();
    let pool = so_far(&app, &team, now).await?;
    Ok(match query {
        UsageQuery { cycle: Some(_), list: true } => {
            return Err(Error::invalid("query", "give either cycle or list"));
        }
        UsageQuery { list: true, .. } => Json(list(&app.store.statements(&team).await?, &pool)),
        UsageQuery { cycle: Some(start), .. } if !is_current(&pool, start) => {
            Json(json!(past(&app.store.statement(&team, start).await?)))
        }
        UsageQuery { .. } => Json(json!(current(&pool, now))),
    })
}

/// The pool, with what was captured from holds that are still open counted already.
pub(super) async fn so_far(app: &App, team: &TeamId, now: Time) -> Result<Pool, Error> {
    let mut pool = app.store.balance(team, now).await?;
    for hold in app.store.holds(&pool).await? {
        pool.used.merge(&hold.used);
        pool.weeks.add(hold.captured, now);
    }
    Ok(pool)
}

fn is_current(pool: &Pool, start: Date) -> bool {
    pool.terms.cycle.is_some_and(|cycle| cycle.start == start)
}

/// What was done in a cycle, as an answer shows it.
#[derive(Serialize)]
struct View<'a> {
    cycle: Option<Cycle>,
    plan: Option<&'a str>,
    actions: Vec<ActionUsage>,
    credits: Spending,
    /// The price of what was bought.
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Forecast>,
}

fn current(pool: &Pool, now: Time) -> View<'_> {
    let credits = Spending::so_far(pool);
    View {
        cycle: pool.terms.cycle,
        plan: pool.terms.subscription.as_ref().map(|current| current.plan.name),
        actions: pool.used.actions().collect(),
        credits,
        amount: credits.amount(),
        forecast: Some(pool.weeks.forecast(pool.balance.credits, now)),
    }
}

fn past(statement: &Statement) -> View<'_> {
    let Statement { start, end, plan, used, credits, .. } = statement;
    View {
        cycle: Some(Cycle { start: *start, end: *end }),
        plan: plan.as_deref(),
        actions: used.actions().collect(),
        credits: *credits,
        amount: credits.amount(),
        forecast: None,
    }
}

/// The cycles that there are, the newest first.
fn list(statements: &[Statement], pool: &Pool) -> Value {
    let mut cycles: Vec<Cycle> =
        statements.iter().map(|past| Cycle { start: past.start, end: past.end }).collect();
    cycles.extend(pool.terms.cycle);
    cycles.reverse();
    cycles.dedup_by_key(|cycle| cycle.start);
    json!({ "cycles": cycles })
}
