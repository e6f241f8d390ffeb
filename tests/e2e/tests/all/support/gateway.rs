//! API Gateway events and the invocation of a function with one.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lambda_http::{Context, LambdaEvent};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use shared::http::serve;

use super::api::{Answer, Api};
use super::contract::{self, Sent, path_item};
use super::template::{TemplateRoute, paths, router, template_routes};

/// An event of an HTTP API, payload version 2.0. API Gateway has decoded the path and verified the
/// token of the claims.
#[derive(Clone, Debug)]
pub struct Event(pub Value);

impl Event {
    pub fn new(method: &Method, path: &str, token: Option<&str>) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut event = json!({
            "version": "2.0",
            "routeKey": "ANY",
            "rawPath": path,
            "rawQueryString": query,
            "headers": { "accept": "*/*", "host": "api.example" },
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "api",
                "domainName": "api.example",
                "domainPrefix": "api",
                "http": {
                    "method": method.as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": "test",
                },
                "requestId": "request",
                "routeKey": "ANY",
                "stage": "$default",
                "time": "31/Jan/2027:10:00:00 +0000",
                "timeEpoch": 1_801_389_600_000_u64,
            },
            "isBase64Encoded": false,
        });
        if let Some(token) = token {
            event["requestContext"]["authorizer"] =
                json!({ "jwt": { "claims": claims(token), "scopes": null } });
        }
        Self(event)
    }

    /// Checks the event and its answer against the contract, if API Gateway sends it to this function.
    fn check(&self, function: &str, answer: &Answer) {
        let http = &self.0["requestContext"]["http"];
        let (method, path) = (http["method"].as_str(), self.0["rawPath"].as_str());
        let (Some(method), Some(path)) = (method, path) else { return };
        let Some((template, _)) = path_item(path) else { return };
        let routes = template_routes();
        let is_sent = |route: &TemplateRoute| {
            path_item(&route.path).is_some_and(|(known, _)| known == template)
                && route.function == function
        };
        if routes.iter().any(is_sent) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (query, body) = (text(&self.0["rawQueryString"]), text(&self.0["body"]));
            let decoded = STANDARD.decode(&body).ok().filter(|_| self.0["isBase64Encoded"] == true);
            let body = decoded.unwrap_or_else(|| body.into_bytes());
            let headers = self.0["headers"].as_object().into_iter().flatten();
            let headers = headers.filter_map(|(name, value)| {
                Some((name.parse().ok()?, value.as_str()?.parse().ok()?))
            });
            let headers: HeaderMap = headers.collect();
            let sent = Sent { method, path, query: &query, headers: &headers, body: &body };
            contract::check(&sent, answer);
        }
    }

    pub fn with_key(mut self, key: &str) -> Self {
        self.0["headers"]["idempotency-key"] = json!(key);
        self
    }

    pub fn with_body(mut self, body: &Value) -> Self {
        self.0["headers"]["content-type"] = json!("application/json");
        self.0["body"] = json!(body.to_string());
        self
    }
}

/// The claims of a token as the authorizer passes them on: as texts.
pub fn claims(token: &str) -> Map<String, Value> {
    let payload = token.split('.').nth(1).unwrap();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    claims.into_iter().map(|(name, value)| (name, json!(text(value)))).collect()
}

/// Returns the function to which the template sends a path.
pub fn function_of(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let found = paths().into_iter().find(|(_, known)| known == path);
    found.unwrap_or_else(|| panic!("no function has {path}")).0
}

impl Api {
    /// Invokes a function with an event.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Value, String> {
        let payload = RawValue::from_string(event.to_string()).unwrap();
        let event = LambdaEvent::new(payload, Context::default());
        let app = self.stack.app();
        let router = router(function, app.clone());
        let answer = match function {
            "charge" => charge::handle(&router, app, &self.stack.eventbridge().bus(), event).await,
            "purchase" => {
                let state = local::purchase_state(app.clone());
                purchase::handle(&router, &state, event).await
            }
            "team" => team::handle(&router, app, event).await,
            _ => serve::answer_http_only(&router, event).await,
        };
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Sends an API event to a function. Returns its response.
    pub async fn request(&self, function: &str, event: &Event) -> Answer {
        let answer = self.invoke(function, &event.0).await.unwrap();
        let headers = answer["headers"].as_object().unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()));
        let answer = Answer {
            status: answer["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: headers.collect::<HeaderMap>(),
            text: answer["body"].as_str().unwrap_or_default().to_owned(),
        };
        event.check(function, &answer);
        answer
    }
}
