//! Shows what a team has and what things cost: balance, history, estimates, catalogues.

mod csv_file;
mod estimate;
mod history;
mod usage;

use axum::extract::{FromRef, State};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::catalogue::plans::{PLANS, PlanView};
use shared::domain::catalogue::prices::price_list;
use shared::domain::limits::PurchaseLimits;
use shared::domain::pool::Pool;
use shared::domain::purchase::{Amount, CENTS_PER_CREDIT, CURRENCY};
use shared::domain::subscription::cycle::Cycle;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::http::permission::Read;
use shared::http::{Caller, NoQuery, Permitted, Query};
use shared::lambda::App;

#[derive(Clone, Debug, FromRef)]
struct BalanceState {
    app: App,
    limits: PurchaseLimits,
}

/// The routes of the function.
pub fn routes(app: App, limits: PurchaseLimits) -> Router {
    Router::new()
        .route("/teams/{team}/credits", get(balance))
        .route("/teams/{team}/history", get(history::history))
        .route("/teams/{team}/usage", get(usage::usage))
        .route("/teams/{team}/estimates", post(estimate::estimate))
        .route("/team/credits", get(own_credits))
        .route("/prices", get(prices))
        .route("/plans", get(plans))
        .route("/purchase-options", get(purchase_options))
        .with_state(BalanceState { app, limits })
}

async fn balance(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let view = app.store.view(&team, app.clock.now()).await?;
    Ok(Json(balance_view(&view.pool, view.held())))
}

fn balance_view(pool: &Pool, held: Credits) -> Value {
    let subscription = pool.terms.subscription.as_ref();
    json!({
        "team": pool.team,
        "plan": subscription.map(|subscription| &subscription.plan),
        "seats": subscription.map(|subscription| subscription.seats),
        "cancelled": subscription.is_some_and(|subscription| subscription.cancelled),
        "credits": {
            "total": pool.balance.credits,
            "free": pool.balance.free(),
            "purchased": pool.balance.purchased(),
            "held": held,
        },
        "cycle": pool.terms.cycle.map(|Cycle { start, end }| json!({ "start": start, "end": end })),
        "next_refill": pool.next_refill(),
        "enrichment": if pool.is_paused() { "paused" } else { "running" },
        "paused_at": pool.paused_at,
        "auto_top_up": pool.top_up_state(),
        "account": pool.terms.account,
    })
}

/// The caller's own team in the shape of lemlist's public API. Gifted credits count as paid ones.
async fn own_credits(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let pool = app.store.view(caller.team()?, app.clock.now()).await?.pool;
    let plan = pool.terms.subscription.as_ref().map(|subscription| subscription.plan.as_str());
    let is_trial = plan == Some("free_trial");
    let free = pool.balance.free();
    Ok(Json(json!({
        "credits": pool.balance.credits,
        "details": {
            "remaining": {
                "total": pool.balance.credits,
                "freemium": if is_trial { free.get() } else { 0 },
                "subscription": if is_trial { 0 } else { free.get() },
                "gifted": 0,
                "paid": pool.balance.purchased(),
            },
        },
    })))
}

/// Anybody may read the catalogue, and keep it for a while.
const CATALOGUE_IS_PUBLIC: [(HeaderName, &str); 1] =
    [(header::CACHE_CONTROL, "public, max-age=300")];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueQuery {
    /// The day (UTC) to show the catalogue of; today if it is left out.
    at: Option<Date>,
}

async fn prices(
    State(app): State<App>,
    Query(query): Query<CatalogueQuery>,
) -> Result<impl IntoResponse, Error> {
    let at = query.at.map_or_else(|| app.clock.now(), Time::start_of);
    Ok((CATALOGUE_IS_PUBLIC, Json(price_list(at)?)))
}

/// The plans are the same on every day.
async fn plans(Query(_): Query<CatalogueQuery>) -> impl IntoResponse {
    let plans: Vec<PlanView> = PLANS.iter().copied().map(PlanView::from).collect();
    (CATALOGUE_IS_PUBLIC, Json(json!({ "plans": plans })))
}

async fn purchase_options(
    State(limits): State<PurchaseLimits>,
    _: Caller,
    _: NoQuery,
) -> Json<Value> {
    let presets: Vec<Value> = limits
        .presets
        .iter()
        .map(|credits| json!({ "credits": credits, "amount": Amount::of(*credits) }))
        .collect();
    Json(json!({
        "cents_per_credit": CENTS_PER_CREDIT,
        "currency": CURRENCY,
        "minimum": limits.minimum,
        "maximum": limits.maximum,
        "presets": presets,
    }))
}
