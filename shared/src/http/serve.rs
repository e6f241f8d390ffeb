//! Serves a router to the events of the HTTP API.

use axum::body::{Bytes, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::{Router, http, middleware};
use http_body_util::Full;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, LambdaEvent, Service, service_fn};
use serde_json::value::{RawValue, to_raw_value};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::extractors::BODY_BYTES_MAX;
use super::gateway::{prepare, unreadable};
use super::middleware::{add_request_id, check_path, forbid_caching, set_deadline};
use crate::domain::{Error, Resource};
use crate::lambda::Invocation;

/// The router of a function, built once per process: `routes` with problem documents for unknown routes and
/// methods, a limit on bodies, and the middleware.
pub fn with_middleware(routes: Router) -> Router {
    routes
        .fallback(async || Error::NotFound(Resource::Route))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn(set_deadline))
        .layer(middleware::from_fn(check_path))
        .layer(middleware::from_fn(forbid_caching))
        .layer(middleware::from_fn(add_request_id))
}

/// The answer to an [`Invocation::Http`]; a problem document if the event does not parse.
///
/// # Errors
/// An answer that cannot be serialized.
pub async fn answer(
    router: &Router,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    let Ok(mut request) = serde_json::from_str::<ApiGatewayV2httpRequest>(event.payload.get())
    else {
        return unreadable();
    };
    prepare(&mut request);
    let request = LambdaEvent::new(LambdaRequest::ApiGatewayV2(request), event.context);
    let mut adapter = Adapter::from(service_fn(|request| buffered(router.clone(), request)));
    Ok(to_raw_value(&adapter.call(request).await?)?)
}

/// The answer of a function that only the HTTP API invokes.
///
/// # Errors
/// An invocation of another kind, and those of [`answer`].
pub async fn answer_http_only(
    router: &Router,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    match Invocation::of(&event.payload) {
        Invocation::Http => answer(router, event).await,
        Invocation::Queue | Invocation::Direct => {
            Err("the event is not a request of the HTTP API".into())
        }
    }
}

/// The answer of a router with its whole body. The adapter requires a body that can be shared between
/// threads.
async fn buffered(
    router: Router,
    request: lambda_http::Request,
) -> Result<http::Response<Full<Bytes>>, axum::Error> {
    let answer = router.oneshot(request).await.map_err(axum::Error::new)?;
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await?;
    Ok(http::Response::from_parts(parts, body.into()))
}
