//! Payments and the simulated Stripe account.

use axum::middleware;
use local::authorize;
use purchase::PurchaseState;
use purchase::stripe::{Secrets, Stripe};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use shared::http::serve;
use stripe::{Answer as StripeAnswer, Intent, Request, signature};

use tokio::net::TcpListener;

use super::api::{Answer, Api, NOW, admin, answer, member};

/// A card that pays.
pub const CARD: &str = "4242424242424242";

/// Another card that pays.
pub const MASTERCARD: &str = "5555555555554444";

/// A card that is declined for insufficient funds.
pub const POOR_CARD: &str = "4000000000009995";

/// A card whose bank asks for a step.
pub const CARD_WITH_STEP: &str = "4000002500003155";

/// The secret of the local stack's webhook.
pub const WEBHOOK_SECRET: &str = "whsec_simulated";

/// The seconds since 1970 of the time at which all tests begin.
pub fn start() -> i64 {
    NOW.parse::<jiff::Timestamp>().unwrap().as_second()
}

impl Api {
    /// The function `purchase` on the stack's table and Stripe account, with other secrets. Returns its URL.
    pub async fn serve_purchase(&self, secrets: Secrets) -> String {
        let stripe = Stripe::new(self.stack.account().connector(), secrets, "");
        let state = PurchaseState { app: self.stack.app().clone(), stripe };
        let router = serve::with_middleware(purchase::routes(state));
        let router = router.layer(middleware::from_fn(authorize));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        url
    }

    /// A purchase as a member reads it.
    pub async fn purchase(&self, team: &str, id: &Value) -> Value {
        let path = format!("/teams/{team}/purchases/{}", id.as_str().unwrap());
        self.get(&member(team), &path).await.ok()["purchase"].take()
    }

    /// Orders a purchase that the customer pays on a page. Returns the id of the purchase, and the page.
    pub async fn order(&self, team: &str, key: &str, credits: u64) -> (Value, Value) {
        let ordered = self.buy(team, key, credits).await;
        assert_eq!(ordered.status, 202, "{ordered:?}");
        let purchase = ordered.json()["purchase"].clone();
        assert_eq!(purchase["status"], "pending");
        assert_eq!(purchase["next_action"]["type"], "redirect");
        (purchase["id"].clone(), purchase["next_action"]["url"].clone())
    }

    /// The text of a page.
    pub async fn page(&self, url: &Value) -> String {
        let page = self.http.get(url.as_str().unwrap()).send().await.unwrap();
        assert_eq!(page.status(), 200);
        page.text().await.unwrap()
    }

    /// The events of a kind for a team so far, after all effects of earlier requests.
    pub async fn team_events(&self, team: &str, kind: &str) -> Vec<Value> {
        let found = self.get("", "/dev/events").await.ok();
        assert_eq!(found["given_up"], json!([]));
        let events = found["events"].as_array().unwrap().iter();
        let of_kind =
            events.filter(|event| event["detail-type"] == kind && event["detail"]["team"] == team);
        of_kind.map(|event| event["detail"].clone()).collect()
    }

    /// The payments of a purchase that took money.
    pub fn taken(&self, purchase: &Value) -> Vec<Intent> {
        let account = self.stack.account().account();
        let of_purchase = account.intents().filter(|it| it.metadata["purchase"] == *purchase);
        of_purchase.filter(|intent| intent.amount_received > 0).cloned().collect()
    }

    /// Sends a request to the Stripe account, as another system of the company.
    pub fn at_stripe(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let request = Request {
            method: "POST".to_owned(),
            path: path.to_owned(),
            fields: fields.iter().map(own).collect(),
            idempotency_key: None,
            secret_key: Some("sk_test_other".to_owned()),
        };
        let StripeAnswer { status, body, .. } = self.stack.account().answer(&request);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Posts a message to the webhook.
    pub async fn message(&self, body: &str, signed: Option<&str>) -> Answer {
        answer(self.message_to(self.stack.url(), body, signed)).await
    }

    /// A message to the webhook of the function at `url`.
    pub fn message_to(&self, url: &str, body: &str, signed: Option<&str>) -> RequestBuilder {
        let request = self.http.post(format!("{url}/webhooks/stripe")).body(body.to_owned());
        let request = request.header("content-type", "application/json");
        match signed {
            Some(signed) => request.header("stripe-signature", signed),
            None => request,
        }
    }

    /// Posts a message that is signed now.
    pub async fn signed_message(&self, body: &str) -> Answer {
        self.message(body, Some(&self.signed(body))).await
    }

    /// The signature of a message, made now.
    pub fn signed(&self, body: &str) -> String {
        let now = self.stack.app().clock.now().timestamp().as_second();
        signature(body, &[WEBHOOK_SECRET], now)
    }

    /// Opens a page to store or change a card.
    pub async fn card_page(&self, team: &str) -> Value {
        let path = format!("/teams/{team}/payment-method");
        let opened = self.send(Method::POST, &path, &admin(team), None, None).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        opened.json()["url"].take()
    }

    /// The stored card of a team.
    pub async fn card(&self, team: &str) -> Value {
        let path = format!("/teams/{team}/payment-method");
        self.get(&admin(team), &path).await.ok()["card"].take()
    }
}

/// A message that a payment has succeeded.
pub fn succeeded(intent: &Value) -> String {
    let kind = "payment_intent.succeeded";
    json!({ "id": "evt_x", "object": "event", "type": kind, "data": { "object": intent } })
        .to_string()
}
