//! A client of a stack of its own.

use local::{Claims, Options, Stack, sign};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Where all tests begin.
pub const NOW: &str = "2027-01-31T10:00:00Z";

/// A stack whose clock stands still, and a client of it.
pub struct Api {
    pub stack: Stack,
    pub http: Client,
}

/// What came back.
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

    /// Checks that this is a problem document of that status and type.
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
        problem
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
        let options =
            Options { now: Some(NOW.parse().unwrap()), frozen: true, ..Options::default() };
        Self { stack: Stack::start(&options).await.unwrap(), http: Client::new() }
    }

    /// A request with a token, a key and a JSON body, each of which may be missing.
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

    /// A charge by the pipeline, as of its own holds.
    pub async fn charge_by_pipeline(&self, team: &str, key: &str, body: &Value) -> Answer {
        self.post(&pipeline(), &format!("/teams/{team}/charges"), key, body).await
    }

    /// A purchase by an admin.
    pub async fn buy(&self, team: &str, key: &str, credits: u64) -> Answer {
        let body = json!({ "credits": credits });
        self.post(&admin(team), &format!("/teams/{team}/purchases"), key, &body).await
    }

    pub async fn subscribe(&self, team: &str, body: &Value) -> Value {
        self.put(&billing(), &format!("/teams/{team}/subscription"), body).await.ok()
    }

    /// A team that was granted so many free credits, once.
    pub async fn team_with(&self, team: &str, free: u64) {
        self.subscribe(team, &json!({ "plan": "enterprise", "included_credits": free })).await;
    }

    pub async fn balance(&self, team: &str) -> Value {
        self.get(&member(team), &format!("/teams/{team}/credits")).await.ok()
    }

    /// Free and purchased credits.
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

    /// Checks that the ledger explains the balance.
    pub async fn settles(&self, team: &str) {
        let (free, purchased) = self.split(team).await;
        let sum: i64 =
            self.history(team).await.iter().map(|e| e["credits"].as_i64().unwrap()).sum();
        assert_eq!(sum, i64::try_from(free + purchased).unwrap());
    }

    pub async fn travel(&self, to: &str) {
        let moved = self.put("", "/dev/clock", &json!({ "now": to })).await;
        assert_eq!(moved.status, 200, "{moved:?}");
    }
}

/// Sends a request as it is.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}
