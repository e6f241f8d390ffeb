//! A client with scripted answers, and the objects that it is called with.

use std::sync::Arc;

use engine::prices;
use purchase::stripe::{Card, Secret, Secrets, Stripe};
use serde_json::{Value, json};
use shared::domain::Credits;
use shared::domain::ids::{CallerKey, Id, ProviderId};
use shared::domain::purchase::Purchase;

use crate::support::{TEAM, Wire, now, team};

/// A client with the key `sk_test_1`.
pub fn client(wire: &Wire) -> Stripe {
    let secret = Secret { api_key: "sk_test_1".to_owned(), webhook_secrets: Vec::new() };
    let secrets = Secrets::Fixed(Arc::new(secret));
    Stripe::new(wire.connector(), secrets, "https://app.example/billing")
}

pub fn id(text: &str) -> ProviderId {
    text.parse().unwrap()
}

pub fn card(id: &str) -> Card {
    serde_json::from_value(card_json(id)).unwrap()
}

pub fn card_json(id: &str) -> Value {
    json!({ "id": id, "card": { "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034 } })
}

/// A purchase of 5,000 credits for $50.
pub fn purchase() -> Purchase {
    let key = CallerKey::of_machine("k".parse().unwrap());
    let offer = prices().offer(Credits::new(5_000)).unwrap();
    Purchase::new(&team(TEAM), key, "ada".parse().unwrap(), offer, now())
}

pub fn top_up() -> Purchase {
    let offer = prices().offer(Credits::new(5_000)).unwrap();
    Purchase::top_up(&team(TEAM), &Id::of("ev", &team(TEAM), "1"), offer, now())
}

/// The smallest payment that the client reads.
pub fn intent(status: &str) -> Value {
    json!({ "id": "pi_1", "status": status, "amount": 5_000, "currency": "usd" })
}
