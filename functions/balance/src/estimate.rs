//! `POST /teams/{team}/estimates`: the cost of a run before it starts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Number;
use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::ledger::work::Work;
use shared::domain::pool::usage::Usage;
use shared::http::permission::Read;
use shared::http::views::estimate::EstimateView;
use shared::http::{Body, NoQuery, Permitted};
use shared::lambda::App;

/// The body of `POST /teams/{team}/estimates`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EstimateRequest {
    /// The number of leads.
    leads: u64,
    /// The actions on each lead.
    actions: Vec<String>,
}

/// The maximal and the expected cost. The expected cost uses the team's hit rates of the current and the
/// previous cycle.
pub(super) async fn estimate(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
    body: Body,
) -> Result<Json<EstimateView>, Error> {
    let EstimateRequest { leads, actions } = body.parse()?;
    let work = Work { leads, actions };
    let now = app.clock.now();
    let prices = app.prices(now);
    let maximum = work.maximum(prices)?;
    let view = app.store.projection_read(&team, now).await?;
    let mut used = view.with_open_holds_counted(now)?.used;
    let written = app.store.statement_newest(&team).await?;
    if let Some(last) = view.statements.last().or(written.as_ref()) {
        used.merge(&last.used)?;
    }
    let balance = view.pool.balance.credits;
    let shortfall = maximum.excess_over(balance);
    Ok(Json(EstimateView {
        maximum,
        expected: work.expected(prices, &used)?,
        hit_rates: hit_rates(&work, prices, &used),
        balance,
        affordable: shortfall.is_zero(),
        shortfall,
    }))
}

/// The hit rate of each action with two decimals; null without attempts.
fn hit_rates(work: &Work, list: &PriceList, used: &Usage) -> BTreeMap<String, Option<Number>> {
    let rate = |action: &String| {
        let rate = list.action(action).and_then(|price| used.hit_rate(price.code));
        let rate = rate.and_then(|rate| rate.to_string().parse::<Number>().ok());
        (action.clone(), rate)
    };
    work.actions.iter().map(rate).collect()
}
