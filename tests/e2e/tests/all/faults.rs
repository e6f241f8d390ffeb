//! Problems of an unavailable table, internal faults, and unknown routes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use engine::{Engine, TABLE};
use lambda_http::{Context, LambdaEvent};
use local::{authorize, functions, purchase_state};
use reqwest::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::http::serve;
use shared::lambda::{App, Clock};
use shared::store::Store;
use tower::ServiceExt;

use crate::support::api::{Api, member};

/// The functions with another store.
fn router(store: Store) -> Router {
    let app = App::new(store, Clock::system(), engine::catalogue());
    let functions = functions(&purchase_state(app));
    serve::with_middleware(functions).layer(middleware::from_fn(authorize))
}

async fn call(router: Router, path: &str, body: Option<Value>) -> (Response<Body>, Value) {
    let request = Request::builder()
        .uri(path)
        .method(if body.is_some() { "POST" } else { "GET" })
        .header("authorization", format!("Bearer {}", member("t")))
        .header("idempotency-key", "k")
        .header("content-type", "application/json")
        .body(body.map_or_else(Body::empty, |body| body.to_string().into()))
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, Body::empty()), serde_json::from_slice(&bytes).unwrap())
}

/// A DynamoDB that cancels every transaction with a conflict.
async fn contended() -> String {
    let conflict = async || {
        let body = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled",
            "CancellationReasons": [
                { "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" },
                { "Code": "None" },
            ],
        });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, Router::new().route("/", post(conflict))).into_future());
    endpoint
}

#[tokio::test]
async fn answers_busy_with_retry_after() {
    let client = Client::from_conf(engine::config(&contended().await).build());
    let store = Store::new(client, TABLE).with_retry_time(Duration::from_millis(50));
    let (response, problem) =
        call(router(store), "/teams/t/charges", Some(json!({ "action": "sms" }))).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!((&problem["type"], &problem["status"]), (&json!("/problems/busy"), &json!(503)));
}

/// An invocation answers before its deadline, whatever the retry time of the store.
#[tokio::test]
async fn answers_before_the_deadline_of_the_invocation() {
    let client = Client::from_conf(engine::config(&contended().await).build());
    let store = Store::new(client, TABLE).with_retry_time(Duration::from_hours(24));
    let app = App::new(store, Clock::system(), engine::catalogue());
    let mut context = Context::default();
    let in_a_second = SystemTime::now() + Duration::from_secs(1);
    let deadline = in_a_second.duration_since(UNIX_EPOCH).unwrap().as_millis();
    context.deadline = deadline.try_into().unwrap();
    let sample = |name: &str| {
        let events = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/");
        let text = std::fs::read_to_string(format!("{events}{name}.json")).unwrap();
        LambdaEvent::new(RawValue::from_string(text).unwrap(), context.clone())
    };
    let other = Api::start().await;
    let bus = other.stack.eventbridge().bus();
    let router = serve::with_middleware(charge::routes(app.clone()));
    let over_http = charge::handle(&router, &app, &bus, sample("charge")).await.unwrap();
    assert!(over_http.get().contains(r#""statusCode":503"#), "{over_http}");
    let queued = charge::handle(&router, &app, &bus, sample("charge-queued")).await.unwrap();
    assert_eq!(
        queued.get().matches("itemIdentifier").count(),
        3,
        "all messages are delivered again"
    );
    assert!(
        charge::handle(&router, &app, &bus, sample("charge-direct")).await.is_err(),
        "an error makes Lambda retry"
    );
}

#[tokio::test]
async fn an_internal_fault_shows_its_request_id_only() {
    let engine = Engine::in_memory().await.unwrap();
    let store = Store::new(engine.client(), "no-such-table");
    for (path, body) in
        [("/teams/t/credits", None), ("/teams/t/charges", Some(json!({ "action": "sms" })))]
    {
        let (response, problem) = call(router(store.clone()), path, body).await;
        is_plain_fault(&response, &problem);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_fault() {
    let broken =
        Router::new().route("/", get(async || -> &str { panic!("the secret of the crash") }));
    let router = serve::with_middleware(broken).layer(middleware::from_fn(authorize));
    let (response, problem) = call(router, "/", None).await;
    is_plain_fault(&response, &problem);
}

fn is_plain_fault(response: &Response<Body>, problem: &Value) {
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(problem["type"], "about:blank");
    assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
    let text = problem.to_string();
    assert!(!text.contains("table") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn answers_unknown_routes_and_methods() {
    let api = Api::start().await;
    for path in ["/", "/nothing", "/teams", "/teams/t/wallet", "/dev", "/teams/t/charges/k"] {
        api.get(&member("t"), path).await.problem(404, "/problems/not-found");
    }
    let wrong =
        [(Method::PATCH, "/teams/t/charges"), (Method::POST, "/prices"), (Method::GET, "/teams/t")];
    for (method, path) in wrong {
        let answer = api.send(method, path, &member("t"), None, None).await;
        answer.problem(405, "/problems/method-not-allowed");
        assert!(answer.headers.contains_key("allow"), "{answer:?}");
    }
}
