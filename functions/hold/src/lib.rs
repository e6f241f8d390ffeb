//! Holds: reserves credits for a job, lists what is reserved, and releases the rest. Captures are charges with a
//! hold.

mod list;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::Id;
use shared::http::permission::{Charge, Read, check_hold, take_allowance};
use shared::http::views::hold::HoldView;
use shared::http::{Body, NoBody, NoQuery, Path, Permitted, idempotency_key, responses};
use shared::lambda::App;
use shared::store::entry::EntryResult;
use shared::store::hold::{Release, Released};

pub use list::{HoldPage, ListQuery};

/// The routes of the function.
pub fn routes(app: App) -> Router {
    Router::new()
        .route("/teams/{team}/holds", post(take).get(list::list))
        .route("/teams/{team}/holds/{hold}", get(read))
        .route("/teams/{team}/holds/{hold}/release", post(release))
        .with_state(app)
}

#[derive(Deserialize)]
struct Segments {
    hold: Id,
}

async fn take(
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
    let sized = asked.clone().sized(app.prices(now));
    let allowed = sized.and_then(|entry| take_allowance(&app, &caller, &team).map(|()| entry));
    let result = match allowed {
        Ok(entry) => app.store.hold_take(entry, now).await?,
        // An earlier request with the same key may have been accepted.
        Err(error) => EntryResult::Replayed(app.store.entry_replay(&asked).await?.ok_or(error)?),
    };
    responses::created(result, |entry| responses::named("hold", HoldView::of_entry(&entry)))
}

async fn read(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Path(Segments { hold: id }): Path<Segments>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let (hold, reference) = app.store.hold_read(&team, &id).await?;
    Ok(Json(responses::named("hold", HoldView::at(hold, reference, app.clock.now()))))
}

async fn release(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<Charge>,
    Path(Segments { hold: id }): Path<Segments>,
    _: NoQuery,
    headers: HeaderMap,
    _: NoBody,
) -> Result<Response, Error> {
    let access = check_hold(&app, &caller, &team, &id).await;
    if let Err(error @ Error::Forbidden(_)) = access {
        return Err(error);
    }
    let by = Release { key: caller.own(idempotency_key(&headers)?), user: caller.sub };
    access?;
    let now = app.clock.now();
    let Released { hold, reference, is_replay } =
        app.store.hold_release(&team, &id, &by, now).await?;
    let body = Json(responses::named("hold", HoldView::at(hold, reference, now)));
    Ok(if is_replay { responses::replayed(body) } else { body.into_response() })
}
