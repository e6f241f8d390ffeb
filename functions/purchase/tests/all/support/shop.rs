//! A team, the function and a simulated Stripe account in simulated time.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use engine::catalogue;
use http_body_util::BodyExt;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::request::RequestContext;
use purchase::PurchaseState;
use purchase::stripe::{Secret, Secrets, Stripe};
use serde_json::{Value, json};
use shared::domain::ids::TeamId;
use shared::domain::purchase::Purchase;
use shared::domain::time::Time;
use shared::lambda::App;
use simulator::{Faults, World};
use stripe::{Account, Outcome, Simulated, signature};
use tower::ServiceExt;

use super::Wire;

/// The id of the team, which has a stored card unless it begins with `nocard`.
pub const TEAM: &str = "acme";

pub const WEBHOOK_SECRET: &str = "whsec_1";

/// The page that customers return to.
const RETURN_URL: &str = "https://app.example/billing";

pub fn now() -> Time {
    "2027-01-10T12:00:00Z".parse().unwrap()
}

pub fn team(name: &str) -> TeamId {
    name.parse().unwrap()
}

pub struct Shop {
    pub world: World,
    pub account: Simulated,
    /// The connection between the function and the account.
    pub wire: Wire,
    pub state: PurchaseState,
    pub team: TeamId,
    routes: Router,
}

/// Runs a story of a team with this id.
pub fn in_shop(name: &str, story: impl AsyncFnOnce(Shop)) {
    let open = async |world: World| {
        let team = team(name);
        world.store().pool_open(&team).await.unwrap();
        let account = account(&world, 1);
        Box::pin(story(Shop::with(world, account, team))).await;
    };
    simulator::run(1, Faults::NONE, now(), open).unwrap();
}

fn account(world: &World, first: usize) -> Simulated {
    let clock = world.clock(0);
    let account = Account::new("https://pay.example").numbered_from(first);
    Simulated::new(account, move || clock.now().timestamp().as_second())
}

impl Shop {
    fn with(world: World, account: Simulated, team: TeamId) -> Self {
        let wire = Wire::to(account.connector());
        let webhook_secrets = vec![WEBHOOK_SECRET.to_owned()];
        let secret = Secret { api_key: "sk_test_1".to_owned(), webhook_secrets };
        let secrets = Secrets::Fixed(Arc::new(secret));
        let stripe = Stripe::new(wire.connector(), secrets, RETURN_URL);
        let app = App::new(world.store(), world.clock(0), catalogue());
        let state = PurchaseState { app, stripe };
        let routes = purchase::routes(state.clone());
        Self { world, account, wire, state, team, routes }
    }

    /// The same team and table with another account.
    pub fn with_other_account(self) -> Self {
        let account = account(&self.world, 900);
        Self::with(self.world, account, self.team)
    }

    pub fn second(&self) -> i64 {
        self.world.now().timestamp().as_second()
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let answer = self.routes.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Sends a request of the team's admin. The path continues that of the team.
    pub async fn request(&self, method: &str, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let claims = json!({ "sub": "ada", "team": self.team, "role": "admin" });
        let context = json!({
            "timeEpoch": 0,
            "http": { "method": method },
            "authorizer": { "jwt": { "claims": claims, "scopes": [] } },
        });
        let context: ApiGatewayV2httpRequestContext = serde_json::from_value(context).unwrap();
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("/teams/{}{path}", self.team))
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", key)
            .extension(RequestContext::ApiGatewayV2(context))
            .body(body);
        self.send(request.unwrap()).await
    }

    /// Orders 5,000 credits for $50.
    pub async fn order(&self, key: &str) -> (u16, Value) {
        self.request("POST", "/purchases", key, &json!({ "credits": 5_000 })).await
    }

    /// The purchases as the API states them, the newest first.
    pub async fn purchases(&self) -> Vec<Value> {
        let (status, body) = self.request("GET", "/purchases", "-", &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body["purchases"].as_array().unwrap().clone()
    }

    /// The newest purchase as it is stored.
    pub async fn stored(&self) -> Purchase {
        let store = self.world.store();
        store.purchase_list(&self.team, None, 1).await.unwrap().purchases.remove(0)
    }

    /// The team's purchased credits.
    pub async fn credits(&self) -> u64 {
        let found = self.world.store().projection_read(&self.team, self.world.now()).await;
        found.unwrap().pool.balance.purchased().get()
    }

    /// Posts a message to the webhook. Returns the status.
    pub async fn post(&self, body: &str, signature: &str) -> u16 {
        let request = Request::post("/webhooks/stripe")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("stripe-signature", signature)
            .body(Body::from(body.to_owned()));
        self.send(request.unwrap()).await.0
    }

    /// Delivers the messages of the account since the last call. Returns their kinds.
    pub async fn deliver(&self) -> Vec<String> {
        let events = self.account.account().take_events();
        for event in &events {
            let signature = signature(&event.body, &[WEBHOOK_SECRET], self.second());
            assert_eq!(self.post(&event.body, &signature).await, 200, "{}", event.body);
        }
        events.into_iter().map(|event| event.kind).collect()
    }

    /// Stores the card with this number as the newest one of the team.
    pub async fn store_card(&self, number: &str) {
        let (status, body) = self.request("GET", "/payment-method", "-", &Value::Null).await;
        assert_eq!(status, 200, "{body}");
        let customer = self.world.store().customer_read(&self.team).await.unwrap().unwrap();
        assert!(self.account.account().attach_card(customer.as_str(), number));
    }

    /// The customer enters a card on the page with this URL.
    pub fn enter_card(&self, url: &str, number: &str) -> Outcome {
        self.account.account().pay(page(url), number, self.second())
    }

    /// The customer takes or refuses the bank's step on the page with this URL.
    pub fn take_step(&self, url: &str, accepts: bool) -> Outcome {
        self.account.account().authenticate(page(url), accepts, self.second())
    }

    /// The number of times that money was requested from a card.
    pub fn attempts(&self) -> u32 {
        self.account.account().intents().map(|intent| intent.charge_attempts).sum()
    }

    /// The cents that were taken.
    pub fn taken(&self) -> u64 {
        self.account.account().intents().map(|intent| intent.amount_received).sum()
    }
}

/// The id of a page of the account.
fn page(url: &str) -> &str {
    url.strip_prefix("https://pay.example/").unwrap()
}
