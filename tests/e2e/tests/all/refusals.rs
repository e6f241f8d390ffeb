//! Refusals that many routes have: an unknown team, a closed account, a body of another form, a used key, a
//! table that is busy or fails. The contract declares them for each route, so each answer is checked.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router, middleware};
use engine::{Engine, TABLE};
use local::{authorize, functions, purchase_state};
use reqwest::Method;
use serde_json::{Value, json};
use shared::http::extractors::BODY_BYTES_MAX;
use shared::http::serve;
use shared::lambda::{App, Clock};
use shared::store::{Store, keys};
use tower::ServiceExt;

use crate::support::api::{Answer, Api, admin, answer, billing, pipeline};
use crate::support::contract::{Sent, check};
use crate::support::routes::{Caller, Route, routes, tokens};

/// The routes on the table, each with a token to which it is open.
fn routes_of_teams() -> Vec<(Route, String)> {
    let on_table = routes().into_iter().filter(|route| {
        let is_of_a_team = route.path.starts_with("/team") && !route.path.ends_with("/refund");
        is_of_a_team && !route.callers.is_empty()
    });
    let token = |caller: Caller| tokens().into_iter().find(|(_, _, it)| *it == Some(caller));
    let with_token = |route: Route| {
        let token = token(route.callers[0]).unwrap().1;
        (route, token)
    };
    on_table.map(with_token).collect()
}

fn is_batch(route: &Route) -> bool {
    route.path.ends_with("/batch")
}

#[tokio::test]
async fn an_unknown_team_is_not_found() {
    let api = Api::start().await;
    let opens =
        |route: &Route| route.method == Method::PUT && route.path.ends_with("/subscription");
    for (route, token) in routes_of_teams().into_iter().filter(|(route, _)| !opens(route)) {
        let Route { method, path, body, .. } = &route;
        let refused = api.send(method.clone(), path, &token, Some("k"), body.as_ref()).await;
        if is_batch(&route) {
            assert_eq!(refused.ok()["results"][0]["problem"]["status"], 404);
        } else {
            refused.problem(404, "/problems/not-found");
        }
    }
}

#[tokio::test]
async fn a_closed_account_accepts_no_change() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    for (route, token) in routes_of_teams() {
        let Route { method, path, body, .. } = &route;
        let answer = api.send(method.clone(), path, &token, Some("k"), body.as_ref()).await;
        assert_ne!(answer.status, 201, "{method} {path}");
    }
    assert_eq!(api.history("t").await.len(), 1);
}

#[tokio::test]
async fn rejects_bodies_of_another_type_or_size() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (route, token) in routes_of_teams().into_iter().filter(|(route, _)| route.body.is_some()) {
        let send = async |media: &str, body: String| {
            let url = format!("{}{}", api.stack.url(), route.path);
            let request = api.http.request(route.method.clone(), url).bearer_auth(&token);
            let request = request.header("idempotency-key", "k").header("content-type", media);
            answer(request.body(body)).await
        };
        let large = "x".repeat(BODY_BYTES_MAX + 1);
        send("application/json", large).await.problem(413, "/problems/too-large");
        let text = send("text/plain", "{}".to_owned()).await;
        text.problem(415, "/problems/unsupported-media-type");
    }
    assert_eq!(api.history("t").await.len(), 1);
}

#[tokio::test]
async fn a_path_that_no_route_has_is_not_found() {
    let api = Api::start().await;
    for (route, token) in routes_of_teams() {
        let path = route.path.replacen("/teams/t", "/teams/a%23b", 1);
        if path != route.path {
            let refused = api.send(route.method, &path, &token, Some("k"), route.body.as_ref());
            refused.await.problem(404, "/problems/not-found");
        }
    }
    let refund = "/teams/a%23b/purchases/p_1/refund";
    api.post(&admin("t"), refund, "k", &json!({})).await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn a_key_of_another_operation_is_refused() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let hold = api.held("t", 10, 60).await;
    let charge = json!({ "action": "sms" });
    let credits = json!({ "credits": 100 });
    for token in [admin("t"), pipeline()] {
        api.post(&token, "/teams/t/charges", "k", &charge).await.ok();
    }
    let release = format!("/teams/t/holds/{hold}/release");
    let recorded = json!({ "credits": 100, "amount": { "cents": 1, "currency": "usd" } });
    for (token, path, body) in [
        (admin("t"), "/teams/t/purchases", &credits),
        (admin("t"), "/teams/t/holds", &credits),
        (billing(), "/teams/t/gifts", &credits),
        (billing(), "/teams/t/purchases/recorded", &recorded),
        (pipeline(), release.as_str(), &json!({})),
    ] {
        let refused = api.post(&token, path, "k", body).await;
        refused.problem(422, "/problems/idempotency-key-reused");
    }
}

#[tokio::test]
async fn a_team_has_a_bounded_number_of_open_holds() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let number = AttributeValue::N("1000".to_owned());
    let pool = keys::pool(&"t".parse().unwrap());
    let update = api.stack.engine().client().update_item().table_name(TABLE).set_key(Some(pool));
    let update = update.update_expression("SET open_holds = :many");
    update.expression_attribute_values(":many", number).send().await.unwrap();
    let refused = api.hold("t", "k", &json!({ "credits": 5 })).await;
    refused.problem(409, "/problems/too-many-holds");
}

/// A DynamoDB that throttles every request.
async fn throttling() -> Client {
    let throttle = async || {
        let kind = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
        let body = json!({ "__type": kind, "message": "the throughput is exceeded" });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/", post(throttle))).into_future());
    Client::from_conf(engine::config(&endpoint).build())
}

/// The answer of the functions with another store.
async fn answer_of(store: &Store, route: &Route, token: &str) -> Answer {
    let app = App::new(store.clone(), Clock::system(), engine::catalogue());
    let functions = serve::with_middleware(functions(&purchase_state(app)));
    let router = functions.layer(middleware::from_fn(authorize));
    let body = route.body.as_ref().map(Value::to_string).unwrap_or_default();
    let request = Request::builder()
        .uri(route.path)
        .method(route.method.clone())
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", "k")
        .header("content-type", "application/json")
        .body(Body::from(body.clone()))
        .unwrap();
    let headers = request.headers().clone();
    let response = router.oneshot(request).await.unwrap();
    let (parts, bytes) = response.into_parts();
    let text = String::from_utf8(to_bytes(bytes, usize::MAX).await.unwrap().to_vec()).unwrap();
    let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, text };
    let (path, query) = route.path.split_once('?').unwrap_or((route.path, ""));
    let method = route.method.as_str();
    check(&Sent { method, path, query, headers: &headers, body: body.as_bytes() }, &answer);
    answer
}

#[tokio::test]
async fn a_busy_table_is_answered_busy_on_every_route() {
    let store = Store::new(throttling().await, TABLE).with_retry_time(Duration::from_millis(20));
    for (route, token) in routes_of_teams().into_iter().filter(|(route, _)| !is_batch(route)) {
        let busy = answer_of(&store, &route, &token).await;
        busy.problem(503, "/problems/busy");
        assert_eq!(busy.headers["retry-after"], "1", "{}", route.path);
    }
}

#[tokio::test]
async fn an_internal_fault_is_answered_without_its_cause_on_every_route() {
    let engine = Engine::in_memory().await.unwrap();
    let store = Store::new(engine.client(), "no-such-table");
    for (route, token) in routes_of_teams().into_iter().filter(|(route, _)| !is_batch(route)) {
        let fault = answer_of(&store, &route, &token).await;
        assert!(!fault.problem(500, "about:blank").to_string().contains("table"));
    }
}
