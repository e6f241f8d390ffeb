//! The pipeline as a process, and a gate before the stack that kills it or fails requests.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use local::{Claims, Options, Stack, authorize, functions, purchase_state, sign};
use reqwest::Method;
use serde_json::{Value, json};
use shared::http::serve;
use tokio::net::TcpListener;

/// The time of all tests; the clock stands still, so ledgers can be compared.
const NOW: &str = "2027-01-31T10:00:00Z";

pub const LEADS: usize = 60;

/// The faults of the gate.
#[derive(Clone, Copy, Debug)]
pub enum Gate {
    /// None.
    Open,
    /// Kills the pipeline at the nth request whose path has this suffix, before or after the service
    /// handles it.
    Kills(&'static str, usize, When),
    /// Drops each request once, then loses its answer once, then refuses all charges of a batch once.
    Unreliable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// The state of the gate.
#[derive(Debug)]
struct Guard {
    gate: Gate,
    /// The number of times that each request was seen; for a kill, by the suffix of the path.
    seen: HashMap<String, usize>,
    pipeline: u32,
}

/// A stack with a team `t`, and a directory for the pipeline.
pub struct Setup {
    pub stack: Stack,
    directory: PathBuf,
    url: String,
    guard: Arc<Mutex<Guard>>,
    http: reqwest::Client,
}

impl Setup {
    /// The name must be unique among the tests.
    pub async fn start(name: &str, credits: u64) -> Self {
        let options =
            Options { now: Some(NOW.parse().unwrap()), frozen: true, ..Options::default() };
        let stack = Box::pin(Stack::start(&options, engine::catalogue())).await.unwrap();
        let guard = Guard { gate: Gate::Open, seen: HashMap::new(), pipeline: 0 };
        let guard = Arc::new(Mutex::new(guard));
        let functions = functions(&purchase_state(stack.app().clone()));
        let router: Router = serve::with_middleware(functions)
            .layer(from_fn(authorize))
            .layer(from_fn_with_state(guard.clone(), pass));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());

        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let setup = Self { stack, directory, url, guard, http: reqwest::Client::new() };
        let rows: Vec<String> = (0..LEADS).map(|n| format!("{n},Lead {n},{n}.example")).collect();
        setup.write("leads.csv", &format!("id,name,domain\n{}\n", rows.join("\n")));
        let plan = json!({ "plan": "enterprise", "included_credits": credits });
        setup.send(Method::PUT, "/teams/t/subscription", "credits:manage", Some(&plan)).await;
        setup
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.directory.join(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.directory.join(file)).unwrap_or_default()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Runs the job `job` on `leads.csv`.
    pub async fn run(&self, gate: Gate) -> Output {
        self.run_job("job", "leads.csv", gate).await
    }

    pub async fn run_job(&self, job: &str, leads: &str, gate: Gate) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline"));
        command
            .args(["--url", &self.url, "--token", &token("credits:charge"), "--team", "t"])
            .args(["--leads", leads, "--job", job, "--out", "results.csv"])
            .current_dir(&self.directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = {
            let mut guard = self.guard.lock().unwrap();
            let child = command.spawn().unwrap();
            *guard = Guard { gate, seen: HashMap::new(), pipeline: child.id() };
            child
        };
        tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap()
    }

    /// Runs the job to its end and returns its summary.
    pub async fn finish(&self) -> String {
        summary(&self.run(Gate::Open).await)
    }

    pub async fn travel(&self, to: &str) {
        self.send(Method::PUT, "/dev/clock", "", Some(&json!({ "now": to }))).await;
    }

    /// Returns the total and the held credits.
    pub async fn credits(&self) -> (i64, i64) {
        let balance = self.send(Method::GET, "/teams/t/credits", "credits:charge", None).await;
        let [total, held] =
            ["total", "held"].map(|name| balance["credits"][name].as_i64().unwrap());
        (total, held)
    }

    /// Returns all entries of the history, ordered by id.
    pub async fn ledger(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/teams/t/history?limit=200{cursor}");
            let mut page = self.send(Method::GET, &path, "credits:charge", None).await;
            entries.append(page["entries"].as_array_mut().unwrap());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        entries.sort_by_key(|entry| entry["id"].to_string());
        entries
    }

    /// Checks that each result of the journal is charged exactly once at its price, that nothing is held,
    /// and that the ledger sums to the balance. Returns the ledger.
    pub async fn settled(&self) -> Vec<Value> {
        let ledger = self.ledger().await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let of_actions = ledger.iter().filter(|entry| entry["action"].is_string());
        let mut charges: Vec<_> = of_actions
            .map(|entry| {
                let credits = entry["credits"].as_i64().unwrap();
                (text(&entry["key"]), text(&entry["outcome"]), credits)
            })
            .collect();
        charges.sort();
        let mut found = self.found();
        found.sort();
        assert_eq!(found.len(), 2 * LEADS, "a result for each lead and action");
        assert_eq!(charges, found);
        let sum = |field: &str| -> i64 {
            ledger.iter().map(|entry| entry[field].as_i64().unwrap_or_default()).sum()
        };
        assert_eq!(self.credits().await, (sum("credits"), 0));
        assert_eq!(sum("held"), 0);
        ledger
    }

    /// Returns the key, the outcome and the cost of each result in the journal.
    fn found(&self) -> Vec<(String, String, i64)> {
        let journal = self.read("results.csv");
        let records = journal.lines().skip(1).map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [job, lead, action, outcome, ..] = fields[..] else { panic!("{line}") };
            let cost = match outcome {
                "deliverable" | "risky" => -5,
                "valid" => -20,
                _ => 0,
            };
            (format!("{job}/{action}/{lead}"), outcome.to_owned(), cost)
        });
        records.collect()
    }

    async fn send(&self, method: Method, path: &str, scope: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.stack.url());
        let mut request = self.http.request(method, url).bearer_auth(token(scope));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {response:?}");
        response.json().await.unwrap()
    }
}

fn token(scope: &str) -> String {
    let scope = Some(scope.to_owned());
    sign(&Claims { sub: Some("pipeline".to_owned()), scope, ..Claims::default() }).unwrap()
}

/// Returns the summary of a successful run.
#[track_caller]
pub fn summary(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.split_once("\n\n").unwrap().1.to_owned()
}

/// Returns the error of a run that stopped by itself.
#[track_caller]
pub fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Passes a request through the gate.
async fn pass(State(guard): State<Arc<Mutex<Guard>>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (gate, seen, pipeline) = {
        let mut guard = guard.lock().unwrap();
        let request = match guard.gate {
            Gate::Kills(end, ..) if path.ends_with(end) => end.to_owned(),
            Gate::Open | Gate::Kills(..) | Gate::Unreliable => format!("{path} {body:?}"),
        };
        let (gate, pipeline) = (guard.gate, guard.pipeline);
        let seen = guard.seen.entry(request).or_default();
        *seen += 1;
        (gate, *seen, pipeline)
    };
    let done = async || next.run(Request::from_parts(parts, body.clone().into())).await;
    match gate {
        Gate::Kills(end, nth, When::Before) if path.ends_with(end) && nth == seen => {
            kill(pipeline);
            busy()
        }
        Gate::Kills(end, nth, When::After) if path.ends_with(end) && nth == seen => {
            let response = done().await;
            kill(pipeline);
            response
        }
        Gate::Unreliable if seen == 1 => busy(),
        Gate::Unreliable if seen == 2 => {
            done().await;
            busy()
        }
        Gate::Unreliable if seen == 3 && path.ends_with("/batch") => all_busy(&body),
        Gate::Open | Gate::Kills(..) | Gate::Unreliable => done().await,
    }
}

fn kill(process: u32) {
    let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status();
    assert!(killed.unwrap().success());
}

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")], Json(problem())).into_response()
}

fn problem() -> Value {
    json!({ "type": "/problems/busy", "title": "Busy", "status": 503, "detail": "too busy" })
}

/// Returns the answer to a batch in which every charge is refused as busy.
fn all_busy(batch: &[u8]) -> Response {
    let batch: Value = serde_json::from_slice(batch).unwrap();
    let refused = json!({ "status": "refused", "problem": problem() });
    let results = vec![refused; batch["charges"].as_array().unwrap().len()];
    Json(json!({ "results": results })).into_response()
}
