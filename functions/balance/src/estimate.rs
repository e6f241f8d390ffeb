//! `POST /teams/{team}/estimates`: the cost of a run before it starts.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::ledger::work::Work;
use shared::domain::pool::usage::Usage;
use shared::http::permission::Read;
use shared::http::{Body, NoQuery, Permitted};
use shared::lambda::App;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EstimateRequest {
    leads: u64,
    actions: Vec<String>,
}

/// The maximal and the expected cost. The expected cost uses the team's hit rates of the current and the
/// previous cycle.
pub(super) async fn estimate(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    _: NoQuery,
    body: Body,
) -> Result<Json<Value>, Error> {
    let EstimateRequest { leads, actions } = body.parse()?;
    let work = Work { leads, actions };
    let now = app.clock.now();
    let prices = app.prices(now);
    let maximum = work.maximum(prices)?;
    let view = app.store.projection_read(&team, now).await?;
    let mut used = view.with_open_holds_counted(now)?.used;
    let statements = app.store.statement_list(&team, None).await?;
    if let Some(last) = view.statements.last().or(statements.last()) {
        used.merge(&last.used)?;
    }
    let balance = view.pool.balance.credits;
    let shortfall = maximum.excess_over(balance);
    Ok(Json(json!({
        "maximum": maximum,
        "expected": work.expected(prices, &used)?,
        "hit_rates": hit_rates(&work, prices, &used),
        "balance": balance,
        "affordable": shortfall.is_zero(),
        "shortfall": shortfall,
    })))
}

/// The hit rate of each action with two decimals; null without attempts.
fn hit_rates(work: &Work, list: &PriceList, used: &Usage) -> Map<String, Value> {
    let rate = |action: &String| {
        let rate = list.action(action).and_then(|price| used.hit_rate(price.code));
        let rate = rate.and_then(|rate| rate.to_string().parse::<Number>().ok());
        (action.clone(), json!(rate))
    };
    work.actions.iter().map(rate).collect()
}
