//! `POST /teams/{team}/estimates`: what a run would cost, before anything is reserved for it.

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use shared::domain::Error;
use shared::domain::hold::Work;
use shared::domain::ids::TeamId;
use shared::http::{App, Body, Caller, Path};

/// The team's own hit rates are not recorded yet, and an action without one is expected to succeed
/// on every lead.
pub(super) async fn estimate(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
    body: Body,
) -> Result<Json<Value>, Error> {
    caller.may_use(&team)?;
    let work: Work = body.parse()?;
    let now = app.clock.now();
    let maximum = work.maximum(super::prices_at(now)?)?;
    let balance = app.store.balance(&team, now).await?.balance.credits;
    let shortfall = maximum.above(balance);
    let hit_rates: Map<_, _> =
        work.actions.into_iter().map(|action| (action, Value::Null)).collect();
    Ok(Json(json!({
        "maximum": maximum,
        "expected": maximum,
        "hit_rates": hit_rates,
        "balance": balance,
        "affordable": shortfall.is_zero(),
        "shortfall": shortfall,
    })))
}
