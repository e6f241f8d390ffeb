//! A client of a local stack.

use local::{Claims, Options, Stack, sign};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;

use super::contract::{self, Sent};

/// The time at which all tests begin.
pub const NOW: &str = "2027-01-31T10:00:00Z";

/// A day in seconds.
pub const DAY: u32 = 24 * 60 * 60;

/// A stack whose clock stands still, and a client of it.
pub struct Api {
    pub stack: Stack,
    pub http: Client,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn is_replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// Asserts that this is a problem document with a status and a type.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["type"], kind, "{self:?}");
        assert_eq!(problem["status"], status, "{self:?}");
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        for of_rust in ["::", "u16", "u32", "u64", "usize", "struct "] {
            assert!(!self.text.contains(of_rust), "{of_rust} in {problem}");
        }
        problem
    }

    /// Asserts that a field of the request is invalid.
    #[track_caller]
    pub fn problem_of(&self, field: &str) {
        let problem = self.problem(400, "/problems/invalid-request");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }

    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }
}

pub fn admin(team: &str) -> String {
    person("ada", team, "admin")
}

pub fn member(team: &str) -> String {
    person("max", team, "member")
}

fn person(sub: &str, team: &str, role: &str) -> String {
    token(Some(sub), Some(team), Some(role), None)
}

pub fn pipeline() -> String {
    token(Some("pipeline"), None, None, Some("credits:charge"))
}

pub fn billing() -> String {
    token(Some("billing"), None, None, Some("credits:manage"))
}

pub fn token(
    sub: Option<&str>,
    team: Option<&str>,
    role: Option<&str>,
    scope: Option<&str>,
) -> String {
    let own = |text: Option<&str>| text.map(str::to_owned);
    sign(&Claims { sub: own(sub), team: own(team), role: own(role), scope: own(scope) }).unwrap()
}

impl Api {
    pub async fn start() -> Self {
        Self::start_with(engine::catalogue()).await
    }

    /// A stack with another catalogue.
    pub async fn start_with(catalogue: Catalogue) -> Self {
        Self::start_at(NOW, catalogue).await
    }

    /// A stack with another catalogue and another time.
    pub async fn start_at(now: &str, catalogue: Catalogue) -> Self {
        let options =
            Options { now: Some(now.parse().unwrap()), frozen: true, ..Options::default() };
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { stack: Stack::start(&options, catalogue).await.unwrap(), http }
    }

    /// Sends a request. An empty token is not sent.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.stack.url()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(Method::GET, path, token, None, None).await
    }

    pub async fn post(&self, token: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, token, Some(key), Some(body)).await
    }

    pub async fn put(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, token, None, Some(body)).await
    }

    pub async fn delete(&self, token: &str, path: &str) -> Answer {
        self.send(Method::DELETE, path, token, None, None).await
    }

    /// A charge by a member.
    pub async fn charge(&self, team: &str, key: &str, body: &Value) -> Answer {
        self.post(&member(team), &format!("/teams/{team}/charges"), key, body).await
    }

    /// A charge by the pipeline, which owns the holds of these tests.
    pub async fn charge_by_pipeline(&self, team: &str, key: &str, body: &Value) -> Answer {
        self.post(&pipeline(), &format!("/teams/{team}/charges"), key, body).await
    }

    /// A purchase by an admin.
    pub async fn buy(&self, team: &str, key: &str, credits: u64) -> Answer {
        let body = json!({ "credits": credits });
        self.post(&admin(team), &format!("/teams/{team}/purchases"), key, &body).await
    }

    /// Sends the choice of a customer on a page of the simulated Stripe. Returns the status and the text of the
    /// answer, or the place that it redirects to.
    pub async fn choose_on_page(&self, page: &Value, choice: &str, card: &str) -> (u16, String) {
        let form = format!("choice={choice}&card_number={card}");
        let request = self.http.post(page.as_str().unwrap()).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.send().await.unwrap();
        let place =
            answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
        (answer.status().as_u16(), place.unwrap_or(answer.text().await.unwrap()))
    }

    pub async fn subscribe(&self, team: &str, body: &Value) -> Value {
        self.put(&billing(), &format!("/teams/{team}/subscription"), body).await.ok()
    }

    /// Opens a team with a single grant of `free` credits.
    pub async fn team_with(&self, team: &str, free: u64) {
        self.subscribe(team, &json!({ "plan": "enterprise", "included_credits": free })).await;
    }

    pub async fn balance(&self, team: &str) -> Value {
        self.get(&member(team), &format!("/teams/{team}/credits")).await.ok()
    }

    /// The free and the purchased credits of a team without holds.
    pub async fn split(&self, team: &str) -> (u64, u64) {
        let credits = &self.balance(team).await["credits"];
        let [free, purchased, total, held] =
            ["free", "purchased", "total", "held"].map(|name| credits[name].as_u64().unwrap());
        assert_eq!((free + purchased, held), (total, 0));
        (free, purchased)
    }

    /// All entries, newest first.
    pub async fn history(&self, team: &str) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/teams/{team}/history?limit=200{cursor}");
            let mut page = self.get(&member(team), &path).await.ok();
            entries.append(page["entries"].as_array_mut().unwrap());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return entries,
            }
        }
    }

    /// Asserts that the ledger adds up to the balance of a team without holds.
    pub async fn assert_ledger(&self, team: &str) {
        self.split(team).await;
        self.assert_ledger_with_holds(team).await;
    }

    /// Runs the schedule once.
    pub async fn run_schedule(&self) -> Answer {
        self.send(Method::POST, "/dev/schedule", "", None, None).await
    }

    /// Runs the schedules. Returns what that of the teams did.
    pub async fn run_upkeep(&self) -> Value {
        let mut done = self.run_schedule().await.ok();
        assert!(done.as_object_mut().unwrap().remove("purchases").is_some(), "{done}");
        done
    }

    pub async fn travel(&self, to: &str) {
        let moved = self.put("", "/dev/clock", &json!({ "now": to })).await;
        assert_eq!(moved.status, 200, "{moved:?}");
    }
}

/// Sends a request. Checks it and its answer against the contract.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, url) = (request.method().clone(), request.url().clone());
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
    let sent_headers = request.headers().clone();
    let response = client.execute(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, text: response.text().await.unwrap() };
    let (method, query) = (method.as_str(), url.query().unwrap_or_default());
    let sent = Sent { method, path: url.path(), query, headers: &sent_headers, body: &body };
    contract::check(&sent, &answer);
    answer
}

impl Api {
    pub async fn hold(&self, team: &str, key: &str, body: &Value) -> Answer {
        self.post(&pipeline(), &format!("/teams/{team}/holds"), key, body).await
    }

    /// Takes a hold of `credits`. Returns its id.
    pub async fn held(&self, team: &str, credits: u64, expires_in: u32) -> String {
        let body = json!({ "credits": credits, "expires_in": expires_in });
        let hold = self.hold(team, &format!("hold {credits} {expires_in}"), &body).await.ok();
        hold["hold"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn look(&self, team: &str, hold: &str) -> Value {
        self.get(&pipeline(), &format!("/teams/{team}/holds/{hold}")).await.ok()["hold"].clone()
    }

    pub async fn release(&self, team: &str, hold: &str, key: &str) -> Answer {
        let path = format!("/teams/{team}/holds/{hold}/release");
        self.send(Method::POST, &path, &pipeline(), Some(key), None).await
    }

    pub async fn capture(&self, team: &str, hold: &str, key: &str) -> Answer {
        let body = json!({ "action": "email_finder", "outcome": "risky", "hold": hold });
        self.charge_by_pipeline(team, key, &body).await
    }

    /// The free, purchased and held credits.
    pub async fn all_credits(&self, team: &str) -> (u64, u64, u64) {
        let credits = &self.balance(team).await["credits"];
        let [free, purchased, held] =
            ["free", "purchased", "held"].map(|name| credits[name].as_u64().unwrap());
        (free, purchased, held)
    }

    /// Asserts that the ledger adds up to the balance and the held credits.
    pub async fn assert_ledger_with_holds(&self, team: &str) {
        let (free, purchased, held) = self.all_credits(team).await;
        let entries = self.history(team).await;
        let sum = |field: &str| -> i64 {
            entries.iter().map(|entry| entry[field].as_i64().unwrap_or_default()).sum()
        };
        assert_eq!(sum("held"), i64::try_from(held).unwrap());
        assert_eq!(sum("credits"), i64::try_from(free + purchased + held).unwrap());
    }
}

impl Api {
    pub async fn usage(&self, team: &str, query: &str) -> Value {
        self.get(&member(team), &format!("/teams/{team}/usage{query}")).await.ok()
    }

    pub async fn email(&self, key: &str, outcome: &str, quantity: u32) {
        let body = json!({ "action": "email_finder", "outcome": outcome, "quantity": quantity });
        self.charge("t", key, &body).await.ok();
    }

    pub async fn estimate(&self, actions: &[&str]) -> Value {
        let work = json!({ "leads": 100, "actions": actions });
        self.post(&member("t"), "/teams/t/estimates", "", &work).await.ok()
    }
}
