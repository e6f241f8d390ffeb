//! The responses that several functions share.

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::problem::{Problem, log_internal};
use crate::domain::Error;
use crate::domain::ledger::entry::Entry;
use crate::store::entry::EntryResult;

/// Larger answers of the functions that compress are compressed, in bytes.
pub const COMPRESSED_ABOVE: u16 = 10_000;

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

/// A public answer in JSON, see [`cacheable_text`].
///
/// # Errors
/// [`Error::Internal`] for a body that cannot be serialized.
pub fn cacheable(
    request: &HeaderMap,
    seconds: u64,
    body: &impl Serialize,
) -> Result<Response, Error> {
    let body = serde_json::to_vec(body).map_err(Error::internal)?;
    Ok(cacheable_text(request, seconds, "application/json", body))
}

/// A public answer, which caches may keep for `seconds`, with an `ETag`; 304 if the request names that tag in
/// `If-None-Match`.
#[must_use]
pub fn cacheable_text(
    request: &HeaderMap,
    seconds: u64,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let body = body.into();
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(&body)));
    let named = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let mut named = named.flat_map(|tags| tags.split(',')).map(str::trim);
    let is_known =
        named.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag);
    // The tag is weak because the answer may be compressed.
    let headers = [
        (header::CACHE_CONTROL, format!("public, max-age={seconds}")),
        (header::ETAG, format!("W/{tag}")),
        (header::VARY, "Accept-Encoding, Origin".to_owned()),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, media_type)], body).into_response()
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
