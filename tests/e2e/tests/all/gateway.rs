//! API Gateway events at the entry points of the functions.

use reqwest::Method;
use serde_json::json;

use crate::support::api::{Api, admin, billing, member, pipeline};
use crate::support::gateway::Event;

/// `%23`, `%3F`, `%2F` and `%25` arrive decoded and do not address another resource.
#[tokio::test]
async fn a_decoded_path_addresses_no_other_resource() {
    let api = Api::start().await;
    api.team_with("t_1", 1_000).await;
    api.team_with("t", 1_000).await;
    let hold = api.post(&pipeline(), "/teams/t/holds", "job", &json!({ "credits": 5 })).await.ok();
    let hold = hold["hold"]["id"].as_str().unwrap();
    let before = (api.balance("t").await, api.balance("t_1").await);
    for sign in ["#", "?", "/", "%", "%23", "#x", "?x"] {
        for (function, method, path, token) in [
            ("team", Method::DELETE, format!("/teams/t_1{sign}x/subscription"), billing()),
            ("team", Method::DELETE, format!("/teams/t_1{sign}x"), billing()),
            ("team", Method::GET, format!("/teams/t{sign}x/settings"), admin("t")),
            ("balance", Method::GET, format!("/teams/t{sign}x/credits"), member("t")),
            ("balance", Method::GET, format!("/teams/t/credits{sign}x"), member("t")),
            ("charge", Method::POST, format!("/teams/t{sign}x/charges"), member("t")),
            ("charge", Method::POST, format!("/teams/t/charges{sign}x"), member("t")),
            ("hold", Method::GET, format!("/teams/t/holds/{hold}{sign}x"), member("t")),
            ("hold", Method::POST, format!("/teams/t/holds/{hold}{sign}/release"), pipeline()),
            ("purchase", Method::GET, format!("/teams/t{sign}x/purchases/p_1"), member("t")),
        ] {
            let mut event = Event::new(&method, "/", Some(&token)).with_key("k");
            event.0["rawPath"] = json!(path);
            event.0["rawQueryString"] = json!("confirm=t_1");
            let event = event.with_body(&json!({ "action": "sms" }));
            api.request(function, &event).await.problem(404, "/problems/not-found");
        }
    }
    // A space is also decoded. No id contains one.
    for (function, path) in [("balance", "/teams/t x/credits"), ("hold", "/teams/t/holds/h 1")] {
        let event = Event::new(&Method::GET, path, Some(&pipeline()));
        let problem = api.request(function, &event).await.problem(400, "/problems/invalid-request");
        let field = if function == "balance" { "team" } else { "hold" };
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!((api.balance("t").await, api.balance("t_1").await), before);
}

/// A URL parser would drop these segments and address another resource.
#[tokio::test]
async fn a_dot_segment_stays_in_the_path() {
    let api = Api::start().await;
    api.team_with("settings", 1_000).await;
    api.team_with("t", 1_000).await;
    let before = (api.balance("settings").await, api.balance("t").await);
    for (function, method, path, token, status) in [
        ("team", Method::DELETE, "/teams/./settings", billing(), 405),
        ("team", Method::DELETE, "/teams/../teams/settings", billing(), 404),
        ("team", Method::GET, "/teams/./settings", admin("t"), 400),
        ("team", Method::PUT, "/teams/t/monitored-accounts/..", admin("t"), 400),
        ("team", Method::PUT, "/teams/t/monitored-accounts/.", admin("t"), 400),
        ("balance", Method::GET, "/teams/x/../t/credits", member("t"), 404),
        ("balance", Method::GET, "/teams/./credits", member("t"), 400),
        ("hold", Method::POST, "/teams/t/holds/./release", member("t"), 400),
        ("balance", Method::GET, "//teams/t/credits", member("t"), 404),
    ] {
        let event = Event::new(&method, path, Some(&token)).with_key("k");
        let mut event = event.with_body(&json!({}));
        event.0["rawQueryString"] = json!(if status == 405 { "confirm=settings" } else { "" });
        let answer = api.request(function, &event).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    assert_eq!((api.balance("settings").await, api.balance("t").await), before);
}

/// The adapter of `lambda_http` would panic at these events.
#[tokio::test]
async fn answers_malformed_events() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let event = || Event::new(&Method::GET, "/teams/t/credits", Some(&member("t")));
    for (header, value) in
        [("x-forwarded-proto", "http,https"), ("x-forwarded-proto", "a b"), ("host", "a b")]
    {
        let mut event = event();
        event.0["headers"][header] = json!(value);
        assert_eq!(api.request("balance", &event).await.status, 200, "{header}: {value}");
    }
    let mut no_base64 = Event::new(&Method::POST, "/teams/t/charges", Some(&member("t")))
        .with_key("k")
        .with_body(&json!({}));
    no_base64.0["isBase64Encoded"] = json!(true);
    no_base64.0["body"] = json!("{}");
    let refused = api.request("charge", &no_base64).await;
    refused.problem(400, "/problems/invalid-request");
    for odd in [json!({}), json!({ "http": 1 }), json!([])] {
        let mut event = event();
        event.0["requestContext"] = odd;
        for function in ["charge", "balance", "hold", "purchase", "team", "panel"] {
            let refused = api.request(function, &event).await;
            refused.problem(400, "/problems/invalid-request");
        }
    }
}

/// API Gateway passes the stage as a part of the path.
#[tokio::test]
async fn every_function_removes_the_stage_from_the_path() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (function, path, token) in [
        ("balance", "/prod/teams/t/credits", member("t")),
        ("charge", "/prod/teams/t/charges", member("t")),
        ("hold", "/prod/teams/t/holds/h_1", member("t")),
        ("team", "/prod/teams/t/settings", member("t")),
        ("purchase", "/prod/teams/t/purchases/p_1", member("t")),
    ] {
        let mut event = Event::new(&Method::GET, path, Some(&token));
        event.0["requestContext"]["stage"] = json!("prod");
        let answer = api.request(function, &event).await;
        let is_known = answer.status == 200 || !answer.text.contains("no such route");
        assert!(is_known, "{function}: {answer:?}");
    }
}
