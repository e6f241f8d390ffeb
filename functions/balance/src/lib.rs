//! Reads: balance, history, usage, estimates and the catalogue.

mod csv_file;
mod estimate;
mod history;
mod usage;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use shared::domain::Error;
use shared::domain::time::Time;
use shared::http::permission::Read;
use shared::http::views::balance::{BalanceView, TeamCreditsView};
use shared::http::views::catalogue::{PlanListView, PriceListView, PurchaseOptionsView};
use shared::http::{Caller, NoQuery, Permitted, Query, day, responses};
use shared::lambda::App;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

pub use estimate::EstimateRequest;
pub use history::{HistoryPage, HistoryQuery};
pub use usage::UsageQuery;

/// The seconds for which caches may keep prices and plans.
const CACHE_SECONDS_MAX: u64 = 300;

/// The routes of the function.
pub fn routes(app: App) -> Router {
    Router::new()
        .route("/teams/{team}/credits", get(balance))
        .route("/teams/{team}/history", get(history::history))
        .route("/teams/{team}/usage", get(usage::usage))
        .route("/teams/{team}/estimates", post(estimate::estimate))
        .route("/team/credits", get(own_credits))
        .route("/prices", get(prices))
        .route("/plans", get(plans))
        .route("/purchase-options", get(purchase_options))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(responses::COMPRESSED_ABOVE)))
        .with_state(app)
}

async fn balance(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
) -> Result<Json<BalanceView>, Error> {
    let view = app.store.projection_read(&team, app.clock.now()).await?;
    Ok(Json(BalanceView::new(&view.pool, view.held()?)))
}

async fn own_credits(
    State(app): State<App>,
    caller: Caller,
    _: NoQuery,
) -> Result<Json<TeamCreditsView>, Error> {
    let now = app.clock.now();
    let pool = app.store.projection_read(caller.team()?, now).await?.pool;
    let is_trial = pool.terms.subscription.as_ref().is_some_and(|subscription| {
        let (name, start) = (&subscription.plan, subscription.started_at.day());
        let plan = app.catalogue.plan_at(name, start, now.day()).or(app.catalogue.plan(name));
        plan.is_some_and(|plan| plan.trial)
    });
    Ok(Json(TeamCreditsView::new(&pool, is_trial)))
}

/// The query of `GET /prices` and `GET /plans`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CatalogueQuery {
    /// The day (UTC) of the catalogue; today if it is left out.
    #[serde(default, deserialize_with = "day")]
    at: Option<Date>,
}

async fn prices(
    State(app): State<App>,
    Query(query): Query<CatalogueQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let list = PriceListView::from(app.catalogue.at(query.day(&app)));
    responses::cacheable(&headers, query.cache_seconds(&app), &list)
}

async fn plans(
    State(app): State<App>,
    Query(query): Query<CatalogueQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let list = PlanListView::from(app.catalogue.at(query.day(&app)));
    responses::cacheable(&headers, query.cache_seconds(&app), &list)
}

impl CatalogueQuery {
    fn day(&self, app: &App) -> Date {
        self.at.unwrap_or_else(|| app.clock.now().day())
    }

    /// The seconds for which caches may keep the answer: at most until another version is in force.
    fn cache_seconds(&self, app: &App) -> u64 {
        let now = app.clock.now();
        let mut starts = app.catalogue.lists().map(|list| Time::start_of(list.effective));
        let next = starts.find(|start| *start > now).filter(|_| self.at.is_none());
        let left = next.map(|next| next.timestamp().duration_since(now.timestamp()).as_secs());
        let left = left.and_then(|seconds| u64::try_from(seconds).ok());
        left.unwrap_or(CACHE_SECONDS_MAX).min(CACHE_SECONDS_MAX)
    }
}

async fn purchase_options(
    State(app): State<App>,
    _: Caller,
    _: NoQuery,
) -> Result<Json<PurchaseOptionsView>, Error> {
    Ok(Json(PurchaseOptionsView::new(app.prices(app.clock.now()))?))
}
