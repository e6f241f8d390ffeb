//! `GET /teams/{team}/usage`: the current cycle by action, a past cycle, or the list of cycles.

use axum::Json;
use axum::extract::State;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::projection::Projection;
use shared::domain::time::Time;
use shared::domain::{Error, Resource};
use shared::http::permission::Read;
use shared::http::views::usage::{CycleListView, UsageView};
use shared::http::{Permitted, Query, day};
use shared::lambda::App;

/// The query of `GET /teams/{team}/usage`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// The first day of a cycle.
    #[serde(default, deserialize_with = "day")]
    cycle: Option<Date>,
    /// Whether the answer is the list of cycles.
    #[serde(default)]
    list: bool,
}

pub(super) async fn usage(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Value>, Error> {
    let now = app.clock.now();
    let view = app.store.projection_read(&team, now).await?;
    let pool = view.with_open_holds_counted(now)?;
    Ok(match query {
        UsageQuery { cycle: Some(_), list: true } => {
            return Err(Error::invalid("query", "give either cycle or list"));
        }
        UsageQuery { list: true, .. } => {
            let mut statements = app.store.statement_list(&team, None).await?;
            statements.extend(view.statements);
            Json(json!(CycleListView::new(&statements, &pool)))
        }
        UsageQuery { cycle: Some(start), .. } => {
            Json(json!(started_on(&app, &view, start, now).await?))
        }
        UsageQuery { .. } => Json(json!(UsageView::current(&pool, None, &app.catalogue, now)?)),
    })
}

/// The usage of the cycle that started on a day; of all cycles that started on that day, if the plan
/// changed.
async fn started_on(
    app: &App,
    view: &Projection,
    start: Date,
    now: Time,
) -> Result<UsageView, Error> {
    let mut statements = app.store.statement_list(&view.pool.team, Some(start)).await?;
    let unwritten = view.statements.iter().filter(|statement| statement.start == start);
    statements.extend(unwritten.cloned());
    let statements = statements.into_iter().map(Ok);
    let ended = statements.reduce(|sum, later| sum?.and(later?)).transpose()?;
    let pool = view.with_open_holds_counted(now)?;
    let is_current = pool.terms.cycle.is_some_and(|cycle| cycle.start == start);
    match (ended, is_current) {
        (before, true) => Ok(UsageView::current(&pool, before, &app.catalogue, now)?),
        (Some(statement), false) => Ok(UsageView::past(statement, &app.catalogue)),
        (None, false) => Err(Error::NotFound(Resource::Cycle)),
    }
}
