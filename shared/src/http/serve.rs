//! What every router gets around it, once, on the outside.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{self, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http_body_util::Full;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Context, LambdaEvent, Service, service_fn};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::extract::MAX_BODY;
use super::problem::Problem;
use crate::domain::Error;
use crate::store::patience::within;

/// The router as it is served: what it does not know is a problem document, bodies are limited,
/// and a fault of ours tells its request id and nothing else.
pub fn outermost(routes: Router) -> Router {
    routes
        .fallback(async || Error::NotFound("route"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(keep_to_the_deadline))
        .layer(middleware::from_fn(hide_faults))
}

/// The answer of a router to a request of the API; `None` if it is something else that has invoked the
/// function.
///
/// # Errors
/// A request that cannot be read.
pub async fn api(
    routes: impl FnOnce() -> Router,
    event: &LambdaEvent<Box<RawValue>>,
) -> Result<Option<Box<RawValue>>, lambda_http::Error> {
    let payload = event.payload.get();
    if !has(payload, "requestContext") {
        return Ok(None);
    }
    let request: LambdaRequest = serde_json::from_str(payload)?;
    let routes = outermost(routes());
    let mut api = Adapter::from(service_fn(move |request| whole(routes.clone(), request)));
    let answer = api.call(LambdaEvent::new(request, event.context.clone())).await?;
    Ok(Some(to_raw_value(&answer)?))
}

/// Whether an event has a field by which it can be told from those of other kinds.
#[must_use]
pub fn has(event: &str, field: &str) -> bool {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(event).unwrap_or_default();
    fields.contains_key(field)
}

/// What a function answers to a message: what came of it, or a problem document as its error, so that
/// the message is tried again and then kept where somebody can look at it.
///
/// # Errors
/// The problem document.
pub fn told(came: Result<Value, Error>) -> Result<Box<RawValue>, lambda_http::Error> {
    match came {
        Ok(came) => Ok(to_raw_value(&came)?),
        Err(error) => Err(serde_json::to_string(&Problem::from(&error))?.into()),
    }
}

/// An answer that is all there: where invocations run side by side, the stream that a router
/// answers with must not be shared.
async fn whole(
    routes: Router,
    request: lambda_http::Request,
) -> Result<http::Response<Full<Bytes>>, axum::Error> {
    let answer = routes.oneshot(request).await.map_err(axum::Error::new)?;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(http::Response::from_parts(parts, body.into()))
}

/// How much of an invocation's time is kept for its answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// The time that an invocation has for its work. `None` if its deadline is past, which is what
/// emulators say.
#[must_use]
pub fn time_left(context: &Context) -> Option<Duration> {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline))?;
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(left.saturating_sub(FOR_THE_ANSWER))
}

async fn keep_to_the_deadline(request: Request, next: Next) -> Response {
    let time = request.extensions().get::<Context>().and_then(time_left);
    within(time, next.run(request)).await
}

async fn hide_faults(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestContext>().and_then(request_id);
    let id = id.unwrap_or("none").to_owned();
    // Whatever is logged on the way carries the id that the answer tells.
    let span = tracing::info_span!("request", id);
    let response = next.run(request).instrument(span).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        return Problem::internal(Some(&id)).into_response();
    }
    response
}

fn request_id(context: &RequestContext) -> Option<&str> {
    match context {
        RequestContext::ApiGatewayV2(context) => context.request_id.as_deref(),
        _ => None,
    }
}
