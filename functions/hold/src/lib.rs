//! Reserves credits for a job before it is paid for, and gives back what it did not need. The
//! captures in between are charges.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_http::LambdaEvent;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::domain::Error;
use shared::domain::catalogue::prices::price_list;
use shared::domain::hold::{HoldRequest, HoldView};
use shared::domain::ids::Id;
use shared::http::permission::{Charge, Read};
use shared::http::{App, Body, NoQuery, Path, Permitted, answer, idempotency_key, serve};
use shared::store::entry::Outcome;
use shared::store::hold::Release;

/// The routes of this function.
pub fn routes(app: App) -> Router {
    Router::new()
        .route("/teams/{team}/holds", post(reserve))
        .route("/teams/{team}/holds/{hold}", get(look))
        .route("/teams/{team}/holds/{hold}/release", post(release))
        .with_state(app)
}

/// Answers a request of the API.
///
/// # Errors
/// An event that is none.
pub async fn handle(
    app: &App,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    serve::request(|| routes(app.clone()), &event).await
}

#[derive(Deserialize)]
struct Segments {
    hold: Id,
}

async fn reserve(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<Charge>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = caller.own(idempotency_key(&headers)?);
    let request: HoldRequest = body.parse()?;
    let now = app.clock.now();
    let asked = request.entry(&team, key, caller.sub.clone(), now)?;
    let sized = asked.clone().sized(price_list(now)?);
    let allowed = sized.and_then(|entry| app.take_allowance(&caller, &team).map(|()| entry));
    let outcome = match allowed {
        Ok(entry) => app.store.hold_take(entry, now).await?,
        // The same request may have been accepted before.
        Err(error) => Outcome::Replayed(app.store.entry_replay(&asked).await?.ok_or(error)?),
    };
    answer::created(outcome, |entry| answer::named("hold", HoldView::in_the_beginning(&entry)))
}

async fn look(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Path(Segments { hold: id }): Path<Segments>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let hold = app.store.hold_read(&team, &id).await?;
    Ok(Json(answer::named("hold", HoldView::at(hold, app.clock.now()))))
}

async fn release(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<Charge>,
    Path(Segments { hold: id }): Path<Segments>,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let access = app.check_hold(&caller, &team, &id).await;
    if let Err(error @ Error::Forbidden(_)) = access {
        return Err(error);
    }
    let by = Release { key: caller.own(idempotency_key(&headers)?), user: caller.sub };
    access?;
    let now = app.clock.now();
    let (hold, was_before) = app.store.hold_release(&team, &id, &by, now).await?;
    let body = Json(answer::named("hold", HoldView::at(hold, now)));
    Ok(if was_before { answer::replayed(body) } else { body.into_response() })
}
