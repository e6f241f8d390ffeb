//! The routes that only the local stack has.

use axum::extract::{FromRef, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::time::Time;
use shared::http::{App, Body};

use crate::clock::StackClock;
use crate::token::{Claims, sign};

#[derive(Clone, FromRef)]
struct Bench {
    app: App,
    clock: StackClock,
    dynamodb: Dynamodb,
}

/// What a client of the engine needs.
#[derive(Clone, Serialize)]
struct Dynamodb {
    endpoint: String,
    table: &'static str,
    region: &'static str,
}

pub(crate) fn routes(app: App, clock: StackClock, endpoint: &str) -> Router {
    let dynamodb =
        Dynamodb { endpoint: endpoint.to_owned(), table: engine::TABLE, region: engine::REGION };
    Router::new()
        .route("/dev/tokens", post(token))
        .route("/dev/clock", get(read_clock).put(move_clock))
        .route("/dev/schedule", post(schedule))
        .route("/dev/dynamodb", get(async |State(dynamodb): State<Dynamodb>| Json(dynamodb)))
        .with_state(Bench { app, clock, dynamodb })
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

async fn move_clock(State(clock): State<StackClock>, body: Body) -> Result<Json<ClockView>, Error> {
    let ClockView { now } = body.parse()?;
    clock.advance(now)?;
    Ok(Json(ClockView { now: clock.now() }))
}

async fn schedule(State(app): State<App>) -> Json<refill::Summary> {
    Json(refill::run(&app, None).await)
}
