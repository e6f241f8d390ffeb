//! Answers that several functions give.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::Problem;
use crate::domain::Error;
use crate::domain::ledger::entry::Entry;
use crate::store::outcome::Outcome;

/// Marks the answer to a repeated request.
const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// 201 for what was done now, 200 and a mark for what was done before.
///
/// # Errors
/// The refusal.
pub fn created(outcome: Outcome, body: impl Fn(Entry) -> Value) -> Result<Response, Error> {
    match outcome {
        Outcome::Charged(entry) => Ok((StatusCode::CREATED, Json(body(entry))).into_response()),
        Outcome::Replayed(entry) => Ok(replayed(Json(body(entry)))),
        Outcome::Refused(error) => Err(error),
    }
}

/// An answer that was given before, marked so.
pub fn replayed(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    response
}

/// A body with one thing in it.
#[must_use]
pub fn named(name: &str, thing: impl serde::Serialize) -> Value {
    json!({ name: thing })
}

/// The answer of a function to an EventBridge event. An error is a problem document: Lambda retries the
/// event, then sends it to the function's failure queue with the document.
///
/// # Errors
/// The problem document.
pub fn of_event(outcome: Result<Value, Error>) -> Result<Box<RawValue>, lambda_http::Error> {
    match outcome {
        Ok(answer) => Ok(to_raw_value(&answer)?),
        Err(error) => Err(serde_json::to_string(&Problem::from(&error))?.into()),
    }
}
