//! `GET /teams/{team}/usage`: the current cycle by action, a past one, or which ones there are.

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::pool::Pool;
use shared::domain::pool::spend::Forecast;
use shared::domain::pool::usage::ActionUsage;
use shared::domain::projection::Projection;
use shared::domain::purchase::Amount;
use shared::domain::statement::{Spending, Statement};
use shared::domain::subscription::cycle::Cycle;
use shared::domain::time::Time;
use shared::http::permission::Read;
use shared::http::{Permitted, Query};
use shared::lambda::App;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    cycle: Option<Date>,
    #[serde(default)]
    list: bool,
}

pub(super) async fn usage(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Value>, Error> {
    let now = app.clock.now();
    let view = app.store.view(&team, now).await?;
    let pool = view.with_open_holds_counted(now);
    Ok(match query {
        UsageQuery { cycle: Some(_), list: true } => {
            return Err(Error::invalid("query", "give either cycle or list"));
        }
        UsageQuery { list: true, .. } => {
            let mut statements = app.store.statements(&team).await?;
            statements.extend(view.statements);
            Json(list(&statements, &pool))
        }
        UsageQuery { cycle: Some(start), .. } => {
            Json(json!(started_on(&app, &view, start, now).await?))
        }
        UsageQuery { .. } => Json(json!(current(&pool, None, now))),
    })
}

/// The usage since a day on which a cycle started: of that cycle, or of all of them if plans were
/// changed on that day.
async fn started_on(app: &App, view: &Projection, start: Date, now: Time) -> Result<View, Error> {
    let mut statements = app.store.statements_of(&view.pool.team, start).await?;
    let unwritten = view.statements.iter().filter(|statement| statement.start == start);
    statements.extend(unwritten.cloned());
    let ended = statements.into_iter().reduce(Statement::and);
    let pool = view.with_open_holds_counted(now);
    let is_current = pool.terms.cycle.is_some_and(|cycle| cycle.start == start);
    match (ended, is_current) {
        (before, true) => Ok(current(&pool, before, now)),
        (Some(statement), false) => Ok(past(statement)),
        (None, false) => Err(Error::NotFound("cycle")),
    }
}

/// What was done in a cycle, as an answer shows it.
#[derive(Serialize)]
struct View {
    cycle: Option<Cycle>,
    plan: Option<String>,
    actions: Vec<ActionUsage>,
    credits: Spending,
    /// The price of what was bought.
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Forecast>,
}

/// The current cycle, after the usage of cycles that started on its first day.
fn current(pool: &Pool, before: Option<Statement>, now: Time) -> View {
    let mut used = pool.used.clone();
    let mut credits = Spending::so_far(pool);
    if let Some(before) = before {
        used.merge(&before.used);
        credits = before.credits.and(credits);
    }
    View {
        cycle: pool.terms.cycle,
        plan: pool.terms.subscription.as_ref().map(|current| current.plan.clone()),
        actions: used.actions().collect(),
        credits,
        amount: credits.amount(),
        forecast: Some(pool.weeks.forecast(pool.balance.credits, now)),
    }
}

fn past(statement: Statement) -> View {
    let Statement { start, end, plan, used, credits, .. } = statement;
    View {
        cycle: Some(Cycle { start, end }),
        plan,
        actions: used.actions().collect(),
        credits,
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
