//! Manages teams. Billing and support change plans and seats, gift credits and close accounts; billing does
//! so over HTTP or by events. The team's people choose monitored accounts and settings, and restart
//! enrichment.

mod messages;
mod monitored_accounts;
mod settings;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use lambda_http::LambdaEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use shared::domain::purchase::GiftRequest;
use shared::domain::subscription::SubscriptionRequest;
use shared::domain::subscription::terms::Change;
use shared::domain::time::Time;
use shared::domain::{Error, Resource};
use shared::http::permission::{Manage, Read};
use shared::http::views::balance::ClosedView;
use shared::http::views::entry::EntryView;
use shared::http::views::subscription::SubscriptionView;
use shared::http::{Body, NoBody, NoQuery, Permitted, Query, idempotency_key, responses, serve};
use shared::lambda::deadline::within_deadline;
use shared::lambda::{App, Invocation};

pub use messages::apply_message;

/// The routes of the function.
pub fn routes(app: App) -> Router {
    Router::new()
        .route(
            "/teams/{team}/subscription",
            get(get_subscription).put(put_subscription).delete(cancel),
        )
        .route("/teams/{team}/gifts", post(gift))
        .route("/teams/{team}/monitored-accounts", get(monitored_accounts::list))
        .route(
            "/teams/{team}/monitored-accounts/{account}",
            put(monitored_accounts::add).delete(monitored_accounts::remove),
        )
        .route("/teams/{team}", delete(close))
        .route(
            "/teams/{team}/settings",
            get(settings::read).put(settings::put).patch(settings::patch),
        )
        .route("/teams/{team}/enrichment/restart", post(settings::restart_enrichment))
        .with_state(app)
}

async fn get_subscription(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<SubscriptionView>, Error> {
    view(&app.store.projection_read(&team, app.clock.now()).await?.pool)
}

async fn put_subscription(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    _: NoQuery,
    body: Body,
) -> Result<Json<SubscriptionView>, Error> {
    let request: SubscriptionRequest = body.parse()?;
    if request.team.is_some() {
        return Err(Error::invalid("team", "is in the path"));
    }
    view(&subscribe(&app, &team, &request).await?)
}

async fn subscribe(app: &App, team: &TeamId, request: &SubscriptionRequest) -> Result<Pool, Error> {
    let now = app.clock.now();
    change_or_open(app, team, now, |pool| pool.subscribe(request, &app.catalogue, now)).await
}

/// Changes a team, or opens it first. A change that is invalid for a new team opens no account.
async fn change_or_open(
    app: &App,
    team: &TeamId,
    now: Time,
    decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
) -> Result<Pool, Error> {
    match app.store.terms_change(team, now, &decide).await {
        Err(Error::NotFound(Resource::Team)) => {
            decide(&Pool::open(team.clone()))?;
            app.store.pool_open(team).await?;
            app.store.terms_change(team, now, decide).await
        }
        changed => changed,
    }
}

/// The query of `DELETE /teams/{team}/subscription`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CancelQuery {
    /// The version of the change. An older one than the newest changes nothing.
    version: Option<u64>,
}

async fn cancel(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    Query(query): Query<CancelQuery>,
    _: NoBody,
) -> Result<Json<SubscriptionView>, Error> {
    let now = app.clock.now();
    let cancel = |pool: &Pool| match pool.cancel(query.version, now)? {
        // An event may arrive before the subscription that it cancels. A caller must not cancel a
        // subscription that does not exist.
        Some(_) if pool.terms.subscription.is_none() => {
            Err(Error::NotFound(Resource::Subscription))
        }
        change => Ok(change),
    };
    view(&app.store.terms_change(&team, now, cancel).await?)
}

/// The query of `DELETE /teams/{team}`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CloseQuery {
    /// The id of the team, because closing is final.
    confirm: String,
}

async fn close(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    Query(query): Query<CloseQuery>,
    _: NoBody,
) -> Result<Json<ClosedView>, Error> {
    if query.confirm != team.as_str() {
        return Err(Error::invalid("confirm", "must be the team's id: closing is final"));
    }
    let now = app.clock.now();
    let pool = app.store.terms_change(&team, now, |pool| Ok(pool.close(None, now))).await?;
    Ok(Json(pool.into()))
}

async fn gift(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<Manage>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = caller.own(idempotency_key(&headers)?);
    let request: GiftRequest = body.parse()?;
    let entry = request.entry(&team, key, caller.sub, app.clock.now())?;
    responses::created(app.store.gift_add(entry).await?, |entry| {
        responses::named("gift", EntryView::from(entry))
    })
}

fn view(pool: &Pool) -> Result<Json<SubscriptionView>, Error> {
    SubscriptionView::of(pool).map(Json).ok_or(Error::NotFound(Resource::Subscription))
}

/// Answers the HTTP API, or an event of the billing system.
///
/// # Errors
/// Those of [`serve::answer`]; those of [`apply_message`] as a problem document.
pub async fn handle(
    router: &Router,
    app: &App,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    match Invocation::of(&event.payload) {
        Invocation::Http => serve::answer(router, event).await,
        Invocation::Queue | Invocation::Direct => {
            let applied = Box::pin(apply_message(app, event.payload.get().as_bytes()));
            responses::of_event(within_deadline(&event.context, applied).await)
        }
    }
}
