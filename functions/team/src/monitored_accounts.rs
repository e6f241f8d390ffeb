//! The accounts that custom signals monitor for a team.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::ids::AccountId;
use shared::domain::monitored_account::MonitoringStatus;
use shared::http::permission::{Monitor, Read};
use shared::http::views::monitored_account::MonitoredAccountView;
use shared::http::{NoBody, NoQuery, Path, Permitted, responses};
use shared::lambda::App;

#[derive(Deserialize)]
pub(super) struct Segments {
    account: AccountId,
}

pub(super) async fn add(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Monitor>,
    Path(Segments { account: id }): Path<Segments>,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Value>, Error> {
    let now = app.clock.now();
    let account = app.store.monitored_account_add(&team, &id, app.prices(now), now).await?;
    Ok(Json(responses::named("account", MonitoredAccountView::from(account))))
}

pub(super) async fn remove(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Monitor>,
    Path(Segments { account: id }): Path<Segments>,
    _: NoQuery,
    _: NoBody,
) -> Result<Json<Value>, Error> {
    let account = app.store.monitored_account_remove(&team, &id, app.clock.now()).await?;
    Ok(Json(responses::named("account", MonitoredAccountView::from(account))))
}

pub(super) async fn list(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    app.store.team_check(&team).await?;
    let accounts = app.store.monitored_account_list(&team).await?.into_iter();
    let listed = accounts.filter(|account| account.status != MonitoringStatus::Removed);
    Ok(Json(responses::named(
        "accounts",
        listed.map(MonitoredAccountView::from).collect::<Vec<_>>(),
    )))
}
