//! The accounts that a team has monitored by custom signals.

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::account::{AccountView, Status};
use shared::domain::ids::{AccountId, TeamId};
use shared::http::{App, Caller, Path, answer};

pub(super) async fn add(
    State(app): State<App>,
    caller: Caller,
    Path((team, id)): Path<(TeamId, AccountId)>,
) -> Result<Json<Value>, Error> {
    caller.may_monitor(&team)?;
    let account = app.store.monitor(&team, &id, app.clock.now()).await?;
    Ok(Json(answer::one("account", AccountView::from(account))))
}

pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path((team, id)): Path<(TeamId, AccountId)>,
) -> Result<Json<Value>, Error> {
    caller.may_monitor(&team)?;
    let account = app.store.stop_monitoring(&team, &id, app.clock.now()).await?;
    Ok(Json(answer::one("account", AccountView::from(account))))
}

pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
) -> Result<Json<Value>, Error> {
    caller.may_see(&team)?;
    app.store.check_open(&team).await?;
    let accounts = app.store.monitored(&team).await?.into_iter();
    let listed = accounts.filter(|account| account.status != Status::Removed);
    Ok(Json(answer::one("accounts", listed.map(AccountView::from).collect::<Vec<_>>())))
}
