//! The team's settings, and the restart of enrichment.

use axum::Json;
use axum::extract::State;
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::settings::{SettingsChange, SettingsRequest};
use shared::http::permission::{Administer, Read, Restart};
use shared::http::views::enrichment::RestartView;
use shared::http::views::settings::SettingsView;
use shared::http::{Body, NoBody, NoQuery, Permitted};
use shared::lambda::App;
use shared::store::enrichment::Restarted;

pub(super) async fn read(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<SettingsView>, Error> {
    Ok(Json(app.store.projection_read(&team, app.clock.now()).await?.pool.settings.into()))
}

pub(super) async fn put(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Administer>,
    _: NoQuery,
    body: Body,
) -> Result<Json<SettingsView>, Error> {
    let settings = SettingsChange::from(body.parse::<SettingsRequest>()?);
    settings.check_complete()?;
    change(&app, &team, &settings).await
}

pub(super) async fn patch(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Administer>,
    _: NoQuery,
    body: Body,
) -> Result<Json<SettingsView>, Error> {
    let settings = SettingsChange::from(body.parse::<SettingsRequest>()?);
    change(&app, &team, &settings).await
}

async fn change(
    app: &App,
    team: &TeamId,
    settings: &SettingsChange,
) -> Result<Json<SettingsView>, Error> {
    let now = app.clock.now();
    settings.check(&app.prices(now).purchase)?;
    Ok(Json(app.store.settings_change(team, settings, now).await?.settings.into()))
}

pub(super) async fn restart_enrichment(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Restart>,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<RestartView>, Error> {
    let now = app.clock.now();
    let Restarted { projection, resumed, still_paused } =
        app.store.enrichment_restart(&team, app.prices(now), now).await?;
    Ok(Json(RestartView::new(&projection.pool, resumed, still_paused)))
}
