//! The real binary as a managed instance runs it: many concurrent invocations in one environment.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use engine::Engine;
use serde_json::{Value, json};
use shared::domain::Credits;
use shared::domain::catalogue::Catalogue;
use shared::domain::ids::{CallerKey, TeamId};
use shared::domain::purchase::GiftRequest;
use shared::domain::time::Time;
use shared::lambda::Clock;
use shared::store::Store;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const CHARGES: usize = 200;
const CONCURRENT_INVOCATIONS: usize = 32;

/// Lambda's Runtime API with a queue of events.
#[derive(Clone)]
struct Lambda {
    waiting: Arc<Mutex<VecDeque<String>>>,
    answers: mpsc::UnboundedSender<(String, Value)>,
}

async fn next(State(lambda): State<Lambda>) -> Response {
    let Some(event) = lambda.waiting.lock().unwrap().pop_front() else {
        return std::future::pending().await;
    };
    let id = serde_json::from_str::<Value>(&event).unwrap()["key"].as_str().unwrap().to_owned();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", "0".to_owned()),
        ("lambda-runtime-invoked-function-arn", "arn".to_owned()),
    ];
    (headers, event).into_response()
}

async fn answer(State(lambda): State<Lambda>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    lambda.answers.send((id, serde_json::from_slice(&body).unwrap())).unwrap();
    StatusCode::ACCEPTED
}

/// A proxy between the function and the table. Counts the writes.
#[derive(Clone)]
struct Wire {
    endpoint: String,
    http: reqwest::Client,
    writes: Arc<AtomicUsize>,
}

async fn forward(State(wire): State<Wire>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().unwrap();
    if target.ends_with("TransactWriteItems") {
        wire.writes.fetch_add(1, Ordering::Relaxed);
    }
    let answer = wire.http.post(&wire.endpoint).headers(headers).body(body).send().await.unwrap();
    (answer.status(), answer.bytes().await.unwrap()).into_response()
}

async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(axum::serve(listener, routes).into_future());
    address
}

/// The process of the function. Dropping it ends the process.
struct Environment(Child);

impl Environment {
    /// Starts the function with the Runtime API and the table at these addresses.
    fn start(runtime: &str, table: &str) -> Self {
        let mut function = Command::new(env!("CARGO_BIN_EXE_charge"));
        function
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime)
            .env("AWS_LAMBDA_MAX_CONCURRENCY", CONCURRENT_INVOCATIONS.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "charge")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", engine::REGION)
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("TABLE_NAME", engine::TABLE)
            .env("EVENT_BUS_NAME", "credits")
            .env("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{table}"));
        Self(function.stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn team_with(store: &Store, credits: u64) -> TeamId {
    let (team, now): (TeamId, Time) =
        ("t".parse().unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
    store.pool_open(&team).await.unwrap();
    let gift = GiftRequest { credits: Credits::new(credits), reference: None };
    let key = CallerKey::of_machine("gift".parse().unwrap());
    let gift = gift.entry(&team, key, "u".parse().unwrap(), now).unwrap();
    store.gift_add(gift).await.unwrap();
    team
}

#[tokio::test]
async fn concurrent_invocations_share_writes() {
    let engine = Engine::in_memory().await.unwrap();
    // The binary charges at the prices of today.
    let catalogue = Catalogue::built_in().unwrap();
    let mut actions = catalogue.at(Clock::system().now().day()).actions.iter();
    let action = actions.find(|price| price.is_enrichment && !price.credits.is_zero()).unwrap();
    let team = team_with(&engine.store(), action.credits.get() * (CHARGES as u64 - 1)).await;
    let writes = Arc::new(AtomicUsize::new(0));
    let (endpoint, http) = (engine.endpoint().to_owned(), reqwest::Client::new());
    let wire = Wire { endpoint, http, writes: Arc::clone(&writes) };
    let table = serve(Router::new().route("/", post(forward)).with_state(wire)).await;

    let event = |n: usize| json!({ "team": team, "key": format!("k{n}"), "action": action.name, "outcome": action.charged[0] });
    let waiting = (0..CHARGES).map(|n| event(n).to_string()).collect();
    let (answers, mut answered) = mpsc::unbounded_channel();
    let lambda = Lambda { waiting: Arc::new(Mutex::new(waiting)), answers };
    let runtime = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
        .with_state(lambda);
    let runtime = serve(runtime).await;
    let mut environment = Environment::start(&runtime, &table);
    let mut log = environment.0.stdout.take().unwrap();

    let mut answers = HashMap::new();
    while answers.len() < CHARGES {
        let (id, answer) = answered.recv().await.unwrap();
        assert!(answers.insert(id, answer).is_none(), "answered twice");
    }
    drop(environment);
    let mut lines = String::new();
    log.read_to_string(&mut lines).unwrap();
    let refusals: Vec<&str> =
        lines.lines().filter(|line| line.contains("a charge was refused")).collect();
    assert_eq!(refusals.len(), 1, "{lines}");
    for field in ["\"team\":\"t\"", "\"key\":\"k", "\"problem\":\"/problems/insufficient-credits\""]
    {
        assert!(refusals[0].contains(field), "{field} in {}", refusals[0]);
    }
    let charged = answers.iter().filter(|(id, answer)| {
        // Each answer belongs to its request.
        if answer["status"] == "charged" {
            assert_eq!(answer["charge"]["key"], **id, "{answer}");
        }
        answer["status"] == "charged"
    });
    assert_eq!(charged.count(), CHARGES - 1, "one was not covered");
    assert_eq!(answers.values().filter(|answer| answer["status"] == "refused").count(), 1);
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes < CHARGES / 3, "{writes} writes for {CHARGES} charges");
}
