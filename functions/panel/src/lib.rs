//! The contract of the API: the OpenAPI document and its reference page; a health check; and the answers to
//! requests that no route of the API matches.

mod page;

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::domain::{Error, Resource};
use shared::http::views::health::{HealthStatus, HealthView};
use shared::http::{NoQuery, Path, responses};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

/// The OpenAPI document. The tests of this package generate it from the types of the functions.
pub const DOCUMENT: &str = include_str!("../../../shared/openapi.json");

/// The seconds for which caches may keep the document and its page.
const CACHE_SECONDS: u64 = 300;

/// The methods of the API.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The routes of the function.
pub fn routes() -> Router {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(docs))
        .route("/problems/{type}", get(problem))
        .route("/health", get(health))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(responses::COMPRESSED_ABOVE)))
}

async fn document(_: NoQuery, headers: HeaderMap) -> Response {
    responses::cacheable_text(&headers, CACHE_SECONDS, "application/json", DOCUMENT)
}

/// The policy permits the style of the page and nothing else.
async fn docs(_: NoQuery, headers: HeaderMap) -> Response {
    let page =
        responses::cacheable_text(&headers, CACHE_SECONDS, "text/html; charset=utf-8", page::PAGE);
    let policy = [
        (header::CONTENT_SECURITY_POLICY, page::POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ];
    (policy, page).into_response()
}

#[derive(Deserialize)]
struct Segments {
    #[serde(rename = "type")]
    kind: String,
}

/// Redirects to the section of a type. The location is relative, because the API may have a base path.
async fn problem(Path(Segments { kind }): Path<Segments>, _: NoQuery) -> Result<Response, Error> {
    if !page::has_problem(&kind) {
        return Err(Error::NotFound(Resource::Problem));
    }
    let location = format!("../docs#problem-{kind}");
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// The function answers. It reads no table.
async fn health(_: NoQuery) -> Json<HealthView> {
    Json(HealthView { status: HealthStatus::Ok })
}

/// The part of the document that has the methods of each path.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
}

/// Every path of the document. A request of API Gateway's route `$default` to one of them has a method that
/// the path lacks: 405.
///
/// # Errors
/// A document that does not parse.
pub fn known_paths() -> Result<Router, serde_json::Error> {
    let Document { paths } = serde_json::from_str(DOCUMENT)?;
    Ok(paths.into_iter().fold(Router::new(), |router, (path, operations)| {
        let methods = METHODS.iter().filter(|method| operations.contains_key(**method));
        let allowed = methods.map(|method| method.to_uppercase()).collect::<Vec<_>>().join(",");
        let refuse = async move || ([(header::ALLOW, allowed)], Error::MethodNotAllowed);
        router.route(&path, MethodRouter::new().fallback(refuse))
    }))
}
