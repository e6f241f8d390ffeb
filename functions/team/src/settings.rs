//! The team's settings, and the restart of enrichment.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::limits::PurchaseLimits;
use shared::domain::settings::{Settings, SettingsRequest};
use shared::http::permission::{Administer, Read, Restart};
use shared::http::views::balance::Enrichment;
use shared::http::views::settings::SettingsView;
use shared::http::{Body, NoQuery, Permitted};
use shared::lambda::App;
use shared::store::settings::Restarted;

pub(super) async fn read(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<SettingsView>, Error> {
    Ok(Json(app.store.view(&team, app.clock.now()).await?.pool.settings.into()))
}

pub(super) async fn put(
    State(app): State<App>,
    State(limits): State<PurchaseLimits>,
    Permitted { team, .. }: Permitted<Administer>,
    _: NoQuery,
    body: Body,
) -> Result<Json<SettingsView>, Error> {
    let settings = Settings::from(body.parse::<SettingsRequest>()?);
    settings.check(&limits)?;
    Ok(Json(app.store.set(&team, &settings, app.clock.now()).await?.settings.into()))
}

pub(super) async fn restart_enrichment(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Restart>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let Restarted { view, resumed, still_paused } =
        app.store.restart(&team, app.clock.now()).await?;
    Ok(Json(json!({
        "team": view.pool.team,
        "enrichment": Enrichment::of(&view.pool),
        "credits": { "total": view.pool.balance.credits },
        "monitored_accounts": { "resumed": resumed, "paused": still_paused },
    })))
}
