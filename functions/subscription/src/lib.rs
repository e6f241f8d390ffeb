//! What the product's billing and support do to a team: plans, seats, gifts, the end of it. And what
//! its own people decide: settings, and that enrichment goes on.

mod choice;

use axum::extract::{FromRef, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use shared::domain::purchase::{GiftRequest, Limits};
use shared::domain::subscription::SubscriptionRequest;
use shared::http::{App, Body, Caller, Path, answer, idempotency_key};

#[derive(Clone, Debug, FromRef)]
struct Office {
    app: App,
    limits: Limits,
}

/// The routes of this function. An automatic top-up keeps to the limits of purchases.
pub fn routes(app: App, limits: Limits) -> Router {
    Router::new()
        .route("/teams/{team}/subscription", put(subscribe).delete(cancel))
        .route("/teams/{team}/gifts", post(gift))
        .route("/teams/{team}", delete(close))
        .route("/teams/{team}/settings", get(choice::settings).put(choice::set))
        .route("/teams/{team}/enrichment/restart", post(choice::restart))
        .with_state(Office { app, limits })
}

async fn subscribe(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
    body: Body,
) -> Result<Json<Value>, Error> {
    caller.may_manage()?;
    let request: SubscriptionRequest = body.parse()?;
    let now = app.clock.now();
    // Terms that cannot be must not open an account either.
    Pool::open(team.clone()).subscribe(&request, now)?;
    let decide = |pool: &Pool| pool.subscribe(&request, now);
    let pool = match app.store.change(&team, now, decide).await {
        Err(Error::NotFound(_)) => {
            app.store.open(&team).await?;
            app.store.change(&team, now, decide).await?
        }
        changed => changed?,
    };
    view(&pool)
}

async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
) -> Result<Json<Value>, Error> {
    caller.may_manage()?;
    let now = app.clock.now();
    let pool = app.store.change(&team, now, |pool| pool.cancel(now)).await?;
    view(&pool)
}

async fn close(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
) -> Result<Json<Value>, Error> {
    caller.may_manage()?;
    let now = app.clock.now();
    let pool = app.store.change(&team, now, |pool| Ok(pool.close(now))).await?;
    Ok(Json(json!({ "team": pool.team, "account": pool.terms.account })))
}

async fn gift(
    State(app): State<App>,
    caller: Caller,
    Path(team): Path<TeamId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    caller.may_manage()?;
    let key = idempotency_key(&headers)?;
    let request: GiftRequest = body.parse()?;
    let entry = request.entry(&team, key, caller.sub, app.clock.now())?;
    answer::created(app.store.gift(entry).await?, |entry| answer::one("gift", entry))
}

fn view(pool: &Pool) -> Result<Json<Value>, Error> {
    let subscription = pool.terms.subscription.as_ref().ok_or(Error::NotFound("subscription"))?;
    Ok(Json(json!({
        "plan": subscription.plan,
        "seats": subscription.seats,
        "started_at": subscription.started_at,
        "account_created_at": pool.terms.account_created_at,
        "included_credits": subscription.included_credits,
        "cancelled": subscription.cancelled,
        "cycle": pool.terms.cycle,
        "next_refill": pool.next_refill(),
    })))
}
