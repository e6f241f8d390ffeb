//! The middleware of every router.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lambda_http::Context;
use lambda_http::request::RequestContext;
use percent_encoding::percent_decode_str;
use tracing::Instrument;

use super::problem::Problem;
use crate::aws::retry::with_deadline;
use crate::domain::{Error, Resource};
use crate::lambda::deadline::time_left;

/// Characters that a decoded segment of a path must not contain: a `#` or `?` would cut the path, a `/`
/// would split the segment, and a `%` would be decoded a second time.
const FORBIDDEN_IN_SEGMENT: [char; 4] = ['#', '?', '/', '%'];

/// Answers 404 for a path with a segment that contains one of [`FORBIDDEN_IN_SEGMENT`] when decoded.
pub(super) async fn check_path(request: Request, next: Next) -> Response {
    let is_segment = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        !decoded.contains(FORBIDDEN_IN_SEGMENT)
    };
    if request.uri().path().split('/').all(is_segment) {
        next.run(request).await
    } else {
        Error::NotFound(Resource::Route).into_response()
    }
}

/// Sets `Cache-Control: no-store` unless the handler has set another value.
pub(super) async fn forbid_caching(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

/// API Gateway waits 30 seconds for an answer. No work is begun for a client that has none.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(28);

/// Runs the handler with the deadline of its invocation, or of API Gateway.
pub(super) async fn set_deadline(request: Request, next: Next) -> Response {
    let time = request.extensions().get::<Context>().and_then(time_left);
    let time = time.map(|time| time.min(ANSWER_TIME_MAX));
    with_deadline(time, next.run(request)).await
}

/// The header with the id of a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the request id to the answer, and replaces the answer of an internal error by one with the id only. All log
/// lines of the request have the same id.
pub(super) async fn add_request_id(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestContext>().and_then(request_id);
    let id = id.unwrap_or("none").to_owned();
    let span = tracing::info_span!("request", id);
    let mut response = next.run(request).instrument(span).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        response = Problem::internal(Some(&id)).into_response();
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn request_id(context: &RequestContext) -> Option<&str> {
    match context {
        RequestContext::ApiGatewayV2(context) => context.request_id.as_deref(),
        _ => None,
    }
}
