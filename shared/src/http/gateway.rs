//! Events of the HTTP API (API Gateway, payload version 2.0) as the adapter of `lambda_http` accepts them.

use std::env::var;

use axum::http::{HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::{RawValue, to_raw_value};

use super::problem::Problem;
use crate::domain::Error;

/// The characters that are encoded in a segment of a path.
const ENCODED_IN_SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The characters that are encoded in a query: a URI does not allow them, and the adapter would panic.
const ENCODED_IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Rewrites the parts of an event that the adapter would misread, or would panic at.
pub(super) fn prepare(event: &mut ApiGatewayV2httpRequest) {
    let stage = event.request_context.stage.replace("$default".to_owned());
    let path = event.raw_path.as_deref().unwrap_or("/");
    event.raw_path = Some(route_path(path, stage.as_deref(), var("BASE_PATH").ok().as_deref()));
    let query = event.raw_query_string.take();
    event.raw_query_string =
        query.map(|query| utf8_percent_encode(&query, ENCODED_IN_QUERY).to_string());
    // The adapter builds a URL from these headers.
    event.headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    event.headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let body = event.body.as_deref().unwrap_or_default();
    if event.is_base64_encoded && STANDARD.decode(body).is_err() {
        event.is_base64_encoded = false;
    }
}

/// The answer to an event that does not parse: a problem document.
pub(super) fn unreadable() -> Result<Box<RawValue>, lambda_http::Error> {
    let problem = Problem::from(&Error::invalid("event", "is not a request of an HTTP API"));
    Ok(to_raw_value(&serde_json::json!({
        "statusCode": problem.status,
        "headers": { "content-type": "application/problem+json", "cache-control": "no-store" },
        "body": serde_json::to_string(&problem)?,
        "isBase64Encoded": false,
    }))?)
}

/// The path for the router. API Gateway has decoded the path; this encodes it again and removes the base
/// path of a custom domain or else the stage, once.
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
        // A URL drops these segments. A control character makes them an invalid id and an unknown route.
        "." | ".." => format!("%00{segment}"),
        _ => utf8_percent_encode(segment, ENCODED_IN_SEGMENT).to_string(),
    });
    format!("/{}", segments.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_the_stage_or_the_base_path_once() {
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
