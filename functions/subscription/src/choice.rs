//! What the people of a team decide.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::purchase::Limits;
use shared::domain::settings::{Settings, SettingsRequest};
use shared::http::{App, Body, Caller, Path};
use shared::store::choice::Restarted;

pub(super) async fn settings(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
) -> Result<Json<Settings>, Error> {
    caller.may_see(&team)?;
    Ok(Json(app.store.view(&team, app.clock.now()).await?.pool.settings))
}

pub(super) async fn set(
    State(app): State<App>,
    State(limits): State<Limits>,
    caller: Caller,
    Path(team): Path<TeamId>,
    body: Body,
) -> Result<Json<Settings>, Error> {
    caller.may_buy(&team)?;
    let settings = Settings::from(body.parse::<SettingsRequest>()?);
    settings.check(&limits)?;
    Ok(Json(app.store.set(&team, &settings, app.clock.now()).await?.settings))
}

pub(super) async fn restart(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
) -> Result<Json<Value>, Error> {
    caller.is_of(&team)?;
    let Restarted { view, resumed, still_paused } =
        app.store.restart(&team, app.clock.now()).await?;
    Ok(Json(json!({
        "team": view.pool.team,
        "enrichment": if view.pool.is_paused() { "paused" } else { "running" },
        "credits": { "total": view.pool.balance.credits },
        "monitored_accounts": { "resumed": resumed, "paused": still_paused },
    })))
}
