//! What the product's billing and support do to a team: plans, seats, gifts, the end of it. Billing may
//! also tell it by messages. And what the team's own people decide: what is monitored, settings, and
//! that enrichment goes on.

mod accounts;
mod choice;
mod messages;

use axum::extract::{FromRef, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use lambda_http::LambdaEvent;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::limits::PurchaseLimits;
use shared::domain::pool::{Pool, Terms};
use shared::domain::purchase::GiftRequest;
use shared::domain::subscription::SubscriptionRequest;
use shared::domain::subscription::terms::Change;
use shared::domain::time::Time;
use shared::http::permission::{Manage, Read};
use shared::http::{Body, NoQuery, Permitted, Query, answer, idempotency_key, serve};
use shared::lambda::deadline::within_deadline;
use shared::lambda::{App, Invocation};

pub use messages::take_in;

#[derive(Clone, Debug, FromRef)]
struct TeamState {
    app: App,
    limits: PurchaseLimits,
}

/// The routes of this function. An automatic top-up keeps to the limits of purchases.
pub fn routes(app: App, limits: PurchaseLimits) -> Router {
    Router::new()
        .route(
            "/teams/{team}/subscription",
            get(get_subscription).put(put_subscription).delete(cancel),
        )
        .route("/teams/{team}/gifts", post(gift))
        .route("/teams/{team}/monitored-accounts", get(accounts::list))
        .route(
            "/teams/{team}/monitored-accounts/{account}",
            put(accounts::add).delete(accounts::remove),
        )
        .route("/teams/{team}", delete(close))
        .route("/teams/{team}/settings", get(choice::settings).put(choice::set))
        .route("/teams/{team}/enrichment/restart", post(choice::restart))
        .with_state(TeamState { app, limits })
}

async fn get_subscription(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    view(&app.store.view(&team, app.clock.now()).await?.pool)
}

async fn put_subscription(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    _: NoQuery,
    body: Body,
) -> Result<Json<Value>, Error> {
    let request: SubscriptionRequest = body.parse()?;
    if request.team.is_some() {
        return Err(Error::invalid("team", "stands in the path"));
    }
    view(&subscribe(&app, &team, &request).await?)
}

async fn subscribe(app: &App, team: &TeamId, request: &SubscriptionRequest) -> Result<Pool, Error> {
    let now = app.clock.now();
    change_or_open(app, team, now, |pool| pool.subscribe(request, now)).await
}

/// Changes a team that may be new here. A change that a new team cannot have opens no account.
async fn change_or_open(
    app: &App,
    team: &TeamId,
    now: Time,
    decide: impl Fn(&Pool) -> Result<Option<Change>, Error>,
) -> Result<Pool, Error> {
    match app.store.change(team, now, &decide).await {
        Err(Error::NotFound("team")) => {
            decide(&Pool::open(team.clone()))?;
            app.store.open(team).await?;
            app.store.change(team, now, decide).await
        }
        changed => changed,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelQuery {
    version: Option<u64>,
}

async fn cancel(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    Query(query): Query<CancelQuery>,
) -> Result<Json<Value>, Error> {
    let now = app.clock.now();
    let cancel = |pool: &Pool| match pool.cancel(query.version, now)? {
        // A message may come before what it cancels; who calls is told that there is nothing.
        Some(_) if pool.terms.subscription.is_none() => Err(Error::NotFound("subscription")),
        change => Ok(change),
    };
    view(&app.store.change(&team, now, cancel).await?)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseQuery {
    confirm: String,
}

async fn close(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Manage>,
    Query(query): Query<CloseQuery>,
) -> Result<Json<Value>, Error> {
    if query.confirm != team.as_str() {
        return Err(Error::invalid("confirm", "must be the team's id, because a closing is final"));
    }
    let now = app.clock.now();
    let pool = app.store.change(&team, now, |pool| Ok(pool.close(None, now))).await?;
    Ok(Json(json!({ "team": pool.team, "account": pool.terms.account })))
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
    answer::created(app.store.gift(entry).await?, |entry| answer::named("gift", entry))
}

fn view(pool: &Pool) -> Result<Json<Value>, Error> {
    subscription(pool).map(Json).ok_or(Error::NotFound("subscription"))
}

fn subscription(pool: &Pool) -> Option<Value> {
    let Terms { subscription, scheduled, account_created_at, cycle, .. } = &pool.terms;
    if subscription.is_none() && scheduled.is_none() {
        return None;
    }
    let current = subscription.as_ref();
    Some(json!({
        "plan": current.map(|current| &current.plan),
        "seats": current.map(|current| current.seats),
        "started_at": current.map(|current| current.started_at),
        "account_created_at": account_created_at,
        "included_credits": current.and_then(|current| current.included_credits),
        "cancelled": current.is_some_and(|current| current.cancelled),
        "cycle": cycle,
        "next_refill": pool.next_refill(),
        "scheduled": scheduled.as_ref().map(|scheduled| json!({
            "plan": scheduled.plan,
            "seats": scheduled.seats,
            "started_at": scheduled.started_at,
            "included_credits": scheduled.included_credits,
        })),
        "version": pool.terms.version(),
    }))
}

/// Answers the HTTP API, or an event of the billing system.
///
/// # Errors
/// Those of [`serve::answer`]; those of [`take_in`] as a problem document.
pub async fn handle(
    router: &Router,
    app: &App,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    match Invocation::of(&event.payload) {
        Invocation::Http => serve::answer(router, event).await,
        Invocation::Queue | Invocation::Direct => {
            let taken_in = take_in(app, event.payload.get().as_bytes());
            answer::of_event(within_deadline(&event.context, taken_in).await)
        }
    }
}
