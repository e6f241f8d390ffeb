//! Charges a team's pool: one charge or a batch over HTTP, one charge by direct invocation, a batch from a
//! queue.

mod direct;
mod priced;
mod queue;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use lambda_http::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use shared::bus::Bus;
use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::charge::ChargeRequest;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::Entry;
use shared::domain::limits::BATCH_CHARGES_MAX;
use shared::domain::time::Time;
use shared::http::problem::{log_internal, rate_limit};
use shared::http::views::charge::ChargeView;
use shared::http::{
    Body, Caller, NoQuery, Permitted, Problem, idempotency_key, permission, responses, serve,
};
use shared::lambda::deadline::within_deadline;
use shared::lambda::json::parse;
use shared::lambda::{App, Invocation};
use shared::store::entry::EntryResult;

pub use direct::charge_directly;
use priced::{Unpriced, check_allowance, hold_of, permitted, priced};
pub use queue::{DELIVERIES_MAX, KIND, SOURCE, charge_queued};

/// The number of concurrent reads for a batch.
const LOOKUPS_MAX: usize = 16;

/// The routes of the function.
pub fn routes(app: App) -> Router {
    Router::new()
        .route("/teams/{team}/charges", post(charge))
        .route("/teams/{team}/charges/batch", post(charge_batch))
        .with_state(app)
}

async fn charge(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<permission::Charge>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let request: ChargeRequest = body.parse()?;
    let user = caller.on_behalf_of(request.user.clone())?;
    let now = app.clock.now();
    let access = match &request.hold {
        Some(hold) => permission::check_hold(&app, &caller, &team, hold).await,
        None => Ok(()),
    };
    if let Err(error @ Error::Forbidden(_)) = access {
        return Err(error);
    }
    request.check_address(false)?;
    let key = caller.own(idempotency_key(&headers)?);
    let charge = priced(request.unpriced(&team, key, Some(user), now), app.prices(now));
    let result = match check_allowance(&app, &caller, permitted(charge, access)) {
        Ok(entry) => app.store.charge(&team, vec![entry], now).await.pop(),
        Err(unpriced) => Some(unpriced.result(&app).await),
    };
    let result = result.ok_or_else(|| Error::internal("a charge has no result"))?;
    responses::created(result, |entry| responses::named("charge", ChargeView::from(entry)))
}

/// The body of `POST /teams/{team}/charges/batch`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChargeBatch {
    /// The charges, 1 to [`BATCH_CHARGES_MAX`].
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<ChargeRequest>))]
    charges: Vec<Box<RawValue>>,
}

/// The results of a batch.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChargeBatchResults {
    /// The result of each charge, in their order.
    results: Vec<Answer>,
}

/// The result of one charge of a batch, or of a direct invocation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ChargeResult))]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Answer {
    /// This request made the charge.
    Charged {
        /// The new charge.
        charge: ChargeView,
    },
    /// An earlier request with the same key made the charge.
    Replayed {
        /// The existing charge.
        charge: ChargeView,
    },
    /// The charge was refused.
    Refused {
        /// The reason.
        problem: Problem,
    },
}

impl Answer {
    /// The `retry_after` of the problem of a refused charge, in seconds.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused { problem } => problem.more.get("retry_after")?.as_u64(),
            Self::Charged { .. } | Self::Replayed { .. } => None,
        }
    }
}

impl From<EntryResult> for Answer {
    fn from(result: EntryResult) -> Self {
        match result {
            EntryResult::Created(entry) => Self::Charged { charge: entry.into() },
            EntryResult::Replayed(entry) => Self::Replayed { charge: entry.into() },
            EntryResult::Refused(error) => Self::Refused { problem: Problem::from(&error) },
        }
    }
}

/// Answers each charge of a batch as if it were sent alone, in order. An invalid charge does not affect the
/// others.
async fn charge_batch(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<permission::Charge>,
    _: NoQuery,
    body: Body,
) -> Result<Response, Error> {
    let ChargeBatch { charges } = body.parse()?;
    if !(1..=BATCH_CHARGES_MAX).contains(&charges.len()) {
        return Err(Error::invalid("charges", format!("must be 1 to {BATCH_CHARGES_MAX} charges")));
    }
    let now = app.clock.now();
    let list = app.prices(now);
    let parsed: Vec<Result<Entry, Unpriced>> = charges
        .iter()
        .enumerate()
        .map(|(index, charge)| {
            let entry = batched(charge, &caller, &team, list, now);
            entry.map_err(|unpriced| unpriced.nested_in(&format!("charges[{index}]")))
        })
        .collect();
    let holds: BTreeSet<Id> = parsed.iter().filter_map(hold_of).cloned().collect();
    let access = stream::iter(holds).map(async |hold| {
        let access = permission::check_hold(&app, &caller, &team, &hold).await;
        (hold, access)
    });
    let access: BTreeMap<Id, Result<(), Error>> =
        access.buffer_unordered(LOOKUPS_MAX).collect().await;
    let parsed = parsed.into_iter().map(|charge| {
        let access = hold_of(&charge).and_then(|hold| access.get(hold)).cloned();
        check_allowance(&app, &caller, permitted(charge, access.unwrap_or(Ok(()))))
    });
    let parsed: Vec<Result<Entry, Unpriced>> = parsed.collect();
    let valid = parsed.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
    let mut results = app.store.charge(&team, valid, now).await.into_iter();
    let refused = stream::iter(parsed).map(async |entry| match entry {
        Ok(_) => None,
        Err(unpriced) => Some(unpriced.result(&app).await),
    });
    let refused: Vec<Option<EntryResult>> = refused.buffered(LOOKUPS_MAX).collect().await;
    let missing = || EntryResult::Refused(Error::internal("a charge has no result"));
    let results: Vec<Answer> = refused
        .into_iter()
        .map(|refused| refused.or_else(|| results.next()).unwrap_or_else(missing))
        .inspect(log_internal_refusal)
        .map(Answer::from)
        .collect();
    let retry_after = results.iter().filter_map(Answer::retry_after).max();
    Ok((retry_after.map(rate_limit), Json(ChargeBatchResults { results })).into_response())
}

fn log_internal_refusal(result: &EntryResult) {
    if let EntryResult::Refused(error) = result {
        log_internal(error);
    }
}

fn batched(
    charge: &RawValue,
    caller: &Caller,
    team: &TeamId,
    list: &PriceList,
    now: Time,
) -> Result<Entry, Unpriced> {
    let mut request: ChargeRequest = parse(charge.get().as_bytes())?;
    request.check_address(true)?;
    let key = request.key.take().ok_or_else(|| Error::invalid("key", "is missing"))?;
    let user = caller.on_behalf_of(request.user.clone())?;
    priced(request.unpriced(team, caller.own(key), Some(user), now), list)
}

/// Answers the HTTP API, the queue or the pipeline.
///
/// # Errors
/// Those of [`serve::answer`], [`charge_queued`] and [`charge_directly`]; a batch that does not parse.
pub async fn handle(
    router: &Router,
    app: &App,
    bus: &Bus,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    let payload = event.payload.get();
    match Invocation::of(&event.payload) {
        Invocation::Http => serve::answer(router, event).await,
        Invocation::Queue => {
            let charged = Box::pin(charge_queued(app, bus, serde_json::from_str(payload)?));
            Ok(to_raw_value(&within_deadline(&event.context, charged).await?)?)
        }
        Invocation::Direct => {
            let charged = Box::pin(charge_directly(app, payload.as_bytes()));
            Ok(to_raw_value(&within_deadline(&event.context, charged).await?)?)
        }
    }
}
