//! Requests of pages of other origins.

use local::{Options, Stack};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};

use crate::support::api::{Api, member};

async fn preflight(url: &str, origin: &str, method: &str) -> (u16, HeaderMap) {
    let request = Client::new()
        .request(Method::OPTIONS, format!("{url}/teams/t/charges"))
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type,idempotency-key");
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.headers().clone())
}

#[tokio::test]
async fn a_preflight_needs_no_token() {
    let api = Api::start().await;
    let (status, headers) = preflight(api.stack.url(), "https://app.example", "POST").await;
    assert_eq!((status, &headers["access-control-allow-origin"]), (200, &"*".parse().unwrap()));
    let allowed = headers["access-control-allow-headers"].to_str().unwrap();
    for name in ["authorization", "content-type", "idempotency-key", "if-none-match", "accept"] {
        assert!(allowed.split(',').any(|allowed| allowed == name), "{name}: {allowed}");
    }
    let methods = headers["access-control-allow-methods"].to_str().unwrap();
    assert_eq!(methods, "GET,POST,PUT,PATCH,DELETE");
}

#[tokio::test]
async fn a_page_reads_the_headers_that_it_needs() {
    let api = Api::start().await;
    let url = format!("{}/teams/t/credits", api.stack.url());
    let request = api.http.get(url).bearer_auth(member("t")).header("origin", "https://a.example");
    let response = request.send().await.unwrap();
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap();
    for name in [
        "idempotent-replayed",
        "retry-after",
        "etag",
        "ratelimit",
        "ratelimit-policy",
        "www-authenticate",
        "allow",
        "x-request-id",
    ] {
        assert!(exposed.split(',').any(|exposed| exposed == name), "{name}: {exposed}");
    }
}

#[tokio::test]
async fn only_given_origins_are_allowed() {
    let cors_origin = vec!["https://app.example".parse().unwrap()];
    let options = Options { cors_origin, ..Options::default() };
    let stack = Stack::start(&options, engine::catalogue()).await.unwrap();
    let (_, headers) = preflight(stack.url(), "https://app.example", "PUT").await;
    assert_eq!(headers["access-control-allow-origin"], "https://app.example");
    let (_, headers) = preflight(stack.url(), "https://evil.example", "PUT").await;
    assert_eq!(headers.get("access-control-allow-origin"), None);
}
