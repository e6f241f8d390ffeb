//! The routes that only the local stack has.

use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use purchase::PurchaseState;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::time::Time;
use shared::http::{Body, Query};

use crate::clock::StackClock;
use crate::eventbridge::Delivered;
use crate::messages::Messages;
use crate::relaying::Relaying;
use crate::schedules::{Scheduled, run_schedules};
use crate::token::{Claims, sign};

/// The state of these routes.
#[derive(Clone, FromRef)]
pub(crate) struct DevState {
    pub(crate) purchase: PurchaseState,
    pub(crate) clock: StackClock,
    pub(crate) relaying: Arc<Relaying>,
    pub(crate) delivered: Delivered,
    pub(crate) messages: Arc<Messages>,
}

/// The answer of `/dev/dynamodb`: the settings of a client of the engine.
#[derive(Clone, Serialize)]
struct Dynamodb {
    endpoint: String,
    table: &'static str,
    region: &'static str,
}

pub(crate) fn routes(state: DevState, endpoint: &str) -> Router {
    let dynamodb =
        Dynamodb { endpoint: endpoint.to_owned(), table: engine::TABLE, region: engine::REGION };
    Router::new()
        .route("/dev/tokens", post(token))
        .route("/dev/clock", get(read_clock).put(move_clock))
        .route("/dev/schedule", post(schedule))
        .route("/dev/events", get(events))
        .route("/dev/dynamodb", get(async || Json(dynamodb)))
        .with_state(state)
}

async fn token(body: Body) -> Result<Json<Value>, Error> {
    let claims: Claims = body.parse()?;
    Ok(Json(json!({ "token": sign(&claims).map_err(Error::internal)? })))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockView {
    now: Time,
}

async fn read_clock(State(clock): State<StackClock>) -> Json<ClockView> {
    Json(ClockView { now: clock.now() })
}

async fn move_clock(
    State(clock): State<StackClock>,
    State(relaying): State<Arc<Relaying>>,
    body: Body,
) -> Result<Json<ClockView>, Error> {
    let ClockView { now } = body.parse()?;
    // Events of earlier writes carry the time before the move.
    relaying.catch_up().await.map_err(Error::internal)?;
    clock.advance(now)?;
    Ok(Json(ClockView { now: clock.now() }))
}

async fn schedule(State(purchase): State<PurchaseState>) -> Json<Scheduled> {
    Json(run_schedules(&purchase).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    #[serde(default)]
    after: usize,
}

/// Returns the events of all writes that were answered before this request.
async fn events(
    State(relaying): State<Arc<Relaying>>,
    State(delivered): State<Delivered>,
    State(messages): State<Arc<Messages>>,
    Query(After { after }): Query<After>,
) -> Result<Json<Value>, Error> {
    messages.deliver().await;
    let given_up = relaying.catch_up().await.map_err(Error::internal)?;
    let events = delivered.events_after(after);
    let next = after.saturating_add(events.len());
    Ok(Json(json!({ "events": events, "next": next, "given_up": given_up })))
}
