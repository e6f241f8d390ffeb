//! The answers to pages of other origins, with the lists of `CorsConfiguration` in the template.

use std::str::FromStr;

use axum::http::{HeaderName, HeaderValue, Method};
use serde_json::Value;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use crate::Failure;

/// Allows pages of these origins, or of all if none is given.
pub(crate) fn layer(origins: &[HeaderValue]) -> Result<CorsLayer, Failure> {
    let template = engine::template()?;
    let lists = template.pointer("/Resources/Api/Properties/CorsConfiguration");
    let allowed: Vec<HeaderName> = list(lists, "AllowHeaders");
    let exposed: Vec<HeaderName> = list(lists, "ExposeHeaders");
    let methods: Vec<Method> = list(lists, "AllowMethods");
    let cors = CorsLayer::new().allow_headers(allowed).allow_methods(methods);
    let cors = cors.expose_headers(exposed);
    Ok(match origins {
        [] => cors.allow_origin(Any),
        origins => cors.allow_origin(AllowOrigin::list(origins.iter().cloned())),
    })
}

fn list<T: FromStr>(lists: Option<&Value>, name: &str) -> Vec<T> {
    let texts = lists.and_then(|lists| lists.get(name)?.as_array()).into_iter().flatten();
    let texts = texts.filter_map(Value::as_str);
    texts.filter_map(|text| text.parse().ok()).collect()
}
