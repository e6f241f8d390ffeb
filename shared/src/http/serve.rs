//! What every router gets around it, once, on the outside.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use lambda_http::Context;
use lambda_http::request::RequestContext;
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
