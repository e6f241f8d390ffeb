//! What every router gets around it, once, on the outside.

use std::collections::HashMap;
use std::env::var;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{self, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, Context, LambdaEvent, Service, service_fn};
use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::extract::BODY_BYTES_MAX;
use super::problem::Problem;
use crate::domain::Error;
use crate::store::retry::with_deadline;

/// The router as it is served: what it does not know is a problem document, bodies are limited,
/// and a fault of ours tells its request id and nothing else.
pub fn with_middleware(routes: Router) -> Router {
    routes
        .fallback(async || Error::NotFound("route"))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(keep_to_the_deadline))
        .layer(middleware::from_fn(hide_faults))
        .layer(middleware::from_fn(check_path))
        .layer(middleware::from_fn(store_nothing))
}

/// Characters that no segment of a path contains once it is decoded. A decoded `#` or `?` would cut the
/// path short, a `/` would make two segments of one, and a `%` would be decoded a second time.
const NOT_IN_A_SEGMENT: [char; 4] = ['#', '?', '/', '%'];

/// Answers 404 for a path with a segment that decodes to what no segment contains.
async fn check_path(request: Request, next: Next) -> Response {
    let is_segment = |segment: &str| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        !decoded.contains(NOT_IN_A_SEGMENT)
    };
    if request.uri().path().split('/').all(is_segment) {
        next.run(request).await
    } else {
        Error::NotFound("route").into_response()
    }
}

/// Forbids caches to store what a team has, unless a handler allows it.
async fn store_nothing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    response
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
    let Ok(mut request) = serde_json::from_str::<LambdaRequest>(payload) else {
        return unreadable().map(Some);
    };
    if let LambdaRequest::ApiGatewayV2(event) = &mut request {
        prepare(event);
    }
    let routes = with_middleware(routes());
    let mut api = Adapter::from(service_fn(move |request| buffered(routes.clone(), request)));
    let answer = api.call(LambdaEvent::new(request, event.context.clone())).await?;
    Ok(Some(to_raw_value(&answer)?))
}

/// The answer of a function that nothing but the API invokes.
///
/// # Errors
/// A request that cannot be read, and an event that is none.
pub async fn request(
    routes: impl FnOnce() -> Router,
    event: &LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    api(routes, event).await?.ok_or_else(|| "the event is not a request of the API".into())
}

/// What a path's segments are encoded with, besides letters and digits.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Rewrites the parts of a request that the adapter would misread or panic at.
fn prepare(event: &mut ApiGatewayV2httpRequest) {
    let stage = event.request_context.stage.replace("$default".to_owned());
    let path = event.raw_path.as_deref().unwrap_or("/");
    event.raw_path = Some(route_path(path, stage.as_deref(), var("BASE_PATH").ok().as_deref()));
    let query = event.raw_query_string.take();
    event.raw_query_string =
        query.map(|query| utf8_percent_encode(&query, NOT_IN_A_QUERY).to_string());
    // The adapter builds a URL with these.
    event.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    event.headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let body = event.body.as_deref().unwrap_or_default();
    if event.is_base64_encoded && STANDARD.decode(body).is_err() {
        event.is_base64_encoded = false;
    }
}

/// The answer to an event of the API that does not have the form of one.
fn unreadable() -> Result<Box<RawValue>, lambda_http::Error> {
    let problem = Problem::from(&Error::invalid("event", "is not a request of an HTTP API"));
    Ok(to_raw_value(&serde_json::json!({
        "statusCode": problem.status,
        "headers": { "content-type": "application/problem+json" },
        "body": serde_json::to_string(&problem)?,
        "isBase64Encoded": false,
    }))?)
}

/// What a URI's query cannot contain. The adapter would panic at it.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The path that the routes know, of one that API Gateway has decoded: encoded again, and without the base
/// path of a custom domain or the stage, one of which is removed once.
fn route_path(decoded: &str, stage: Option<&str>, base: Option<&str>) -> String {
    let stage = stage.filter(|stage| *stage != "$default");
    let path = decoded.strip_prefix('/').unwrap_or(decoded);
    let without = |prefix: &str| {
        let prefix = prefix.trim_matches('/');
        let rest = path.strip_prefix(prefix).filter(|_| !prefix.is_empty())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    };
    let path = [base, stage].into_iter().flatten().find_map(without).unwrap_or(path);
    let segments = path.split('/').map(|segment| match segment {
        // A URL would drop these segments. With a control character they are no id and no route.
        "." | ".." => format!("%00{segment}"),
        _ => utf8_percent_encode(segment, SEGMENT).to_string(),
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
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
pub fn message_answer(came: Result<Value, Error>) -> Result<Box<RawValue>, lambda_http::Error> {
    match came {
        Ok(came) => Ok(to_raw_value(&came)?),
        Err(error) => Err(serde_json::to_string(&Problem::from(&error))?.into()),
    }
}

/// An answer that is all there: where invocations run side by side, the stream that a router
/// answers with must not be shared.
async fn buffered(
    routes: Router,
    request: lambda_http::Request,
) -> Result<http::Response<Full<Bytes>>, axum::Error> {
    let answer = routes.oneshot(request).await.map_err(axum::Error::new)?;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(http::Response::from_parts(parts, body.into()))
}

/// How much of an invocation's time is kept for its answer.
const ANSWER_TIME_RESERVED: Duration = Duration::from_millis(500);

/// The time that an invocation has for its work. `None` if its deadline is past, which is what
/// emulators say.
#[must_use]
pub fn time_left(context: &Context) -> Option<Duration> {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline))?;
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(left.saturating_sub(ANSWER_TIME_RESERVED))
}

async fn keep_to_the_deadline(request: Request, next: Next) -> Response {
    let time = request.extensions().get::<Context>().and_then(time_left);
    with_deadline(time, next.run(request)).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_loses_its_stage_and_base_path_once() {
        for (decoded, stage, base, path) in [
            ("/teams/t/credits", "$default", None, "/teams/t/credits"),
            ("/prod/teams/t/credits", "prod", None, "/teams/t/credits"),
            ("/prod/prod/credits", "prod", None, "/prod/credits"),
            ("/production/teams/t", "prod", None, "/production/teams/t"),
            ("/credits/teams/t", "$default", Some("credits"), "/teams/t"),
            ("/credits/prod/teams/t", "prod", Some("/credits/"), "/prod/teams/t"),
            ("//teams/t", "$default", None, "//teams/t"),
            ("/teams/./settings", "$default", None, "/teams/%00./settings"),
            ("/teams/x/../t", "$default", None, "/teams/x/%00../t"),
            ("/teams/t", "prod", Some("credits"), "/teams/t"),
            ("/teams/t_1#x/subscription", "$default", None, "/teams/t_1%23x/subscription"),
            ("/teams/a%23b", "$default", None, "/teams/a%2523b"),
            ("/teams/a?b", "$default", None, "/teams/a%3Fb"),
            ("/", "$default", None, "/"),
        ] {
            assert_eq!(route_path(decoded, Some(stage), base), path, "{decoded}");
        }
    }
}
