//! The responses that several functions share.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::problem::{Problem, log_internal};
use crate::domain::Error;
use crate::domain::ledger::entry::Entry;
use crate::store::entry::EntryResult;

/// The header of a replay.
const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// 201 with the new entry, or 200 with the existing entry and `Idempotent-Replayed: true`.
///
/// # Errors
/// The error of a refusal.
pub fn created(result: EntryResult, body: impl Fn(Entry) -> Value) -> Result<Response, Error> {
    match result {
        EntryResult::Created(entry) => Ok((StatusCode::CREATED, Json(body(entry))).into_response()),
        EntryResult::Replayed(entry) => Ok(replayed(Json(body(entry)))),
        EntryResult::Refused(error) => Err(error),
    }
}

/// A response with `Idempotent-Replayed: true`.
pub fn replayed(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    response
}

/// A JSON object with one field.
#[must_use]
pub fn named(name: &str, value: impl serde::Serialize) -> Value {
    json!({ name: value })
}

/// The answer of a function to an EventBridge event. An error is a problem document: Lambda retries the
/// event, then sends it to the function's failure queue with the document.
///
/// # Errors
/// The problem document.
pub fn of_event(result: Result<Value, Error>) -> Result<Box<RawValue>, lambda_http::Error> {
    match result {
        Ok(answer) => Ok(to_raw_value(&answer)?),
        Err(error) => {
            log_internal(&error);
            Err(serde_json::to_string(&Problem::from(&error))?.into())
        }
    }
}
