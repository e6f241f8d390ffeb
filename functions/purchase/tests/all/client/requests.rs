//! The requests as they are sent.

use purchase::stripe::API_VERSION;
use serde_json::json;
use shared::domain::ids::TeamId;

use super::fixtures::{card, client, id, intent, purchase, top_up};
use crate::support::{Act, Seen, TEAM, Wire, team};

/// A connection that answers each request with an object that all calls read.
fn accepting() -> Wire {
    let mut object = intent("requires_confirmation");
    for (field, value) in [("url", json!("https://pay.example/1")), ("data", json!([]))] {
        object[field] = value;
    }
    object["status"] = json!("open");
    Wire::scripted(move |_| Act::json(200, &object))
}

/// The decoded fields of a form or of a query.
fn fields(form: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(form.as_bytes()).into_owned().collect()
}

fn field(seen: &Seen, name: &str) -> Option<String> {
    let found = fields(&seen.body).into_iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value)
}

fn only(wire: &Wire) -> Seen {
    let mut seen = wire.take();
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_post_has_the_key_the_version_and_a_form() {
    let wire = accepting();
    let purchase = purchase();
    client(&wire).intent_create(&purchase, &id("cus_1"), &card("pm_1")).await.unwrap();
    let sent = only(&wire);
    assert_eq!(sent.method, "POST");
    assert_eq!(sent.uri, "https://api.stripe.com/v1/payment_intents");
    for (name, value) in [
        ("authorization", "Bearer sk_test_1"),
        ("stripe-version", "2024-06-20"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("idempotency-key", purchase.id.as_str()),
    ] {
        assert_eq!(sent.header(name), Some(value), "{name}");
    }
    assert_eq!(API_VERSION, "2024-06-20");
    let expected = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("customer", "cus_1"),
        ("payment_method", "pm_1"),
        ("payment_method_types[]", "card"),
        ("metadata[team]", TEAM),
        ("metadata[purchase]", purchase.id.as_str()),
        ("metadata[credits]", "5000"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(&sent.body), expected);
    assert!(sent.body.contains("metadata%5Bteam%5D=acme"), "{}", sent.body);
}

#[tokio::test(start_paused = true)]
async fn a_get_has_its_fields_in_the_query_and_no_body() {
    let wire = accepting();
    client(&wire).intent_read(&id("pi_1")).await.unwrap();
    let sent = only(&wire);
    assert_eq!(sent.method, "GET");
    let uri = "https://api.stripe.com/v1/payment_intents/pi_1?expand%5B%5D=latest_charge";
    assert_eq!((sent.uri.as_str(), sent.body.as_str()), (uri, ""));
    assert_eq!(sent.header("authorization"), Some("Bearer sk_test_1"));
    assert_eq!(sent.header("stripe-version"), Some("2024-06-20"));
    assert_eq!(sent.header("idempotency-key"), None);
    assert_eq!(sent.header("content-type"), None);

    client(&wire).session_read(&id("cs_1")).await.unwrap();
    assert_eq!(only(&wire).uri, "https://api.stripe.com/v1/checkout/sessions/cs_1");
}

#[tokio::test(start_paused = true)]
async fn values_are_encoded() {
    let wire = accepting();
    let name: TeamId = "t.1_a-b".parse().unwrap();
    let client = client(&wire).at("https://localhost:1/stripe/");
    client.customer_create(&name).await.unwrap();
    let sent = only(&wire);
    assert_eq!(sent.uri, "https://localhost:1/stripe/v1/customers");
    assert_eq!(field(&sent, "metadata[team]").as_deref(), Some("t.1_a-b"));

    client.intent_confirm(&id("pi_1"), &purchase()).await.unwrap();
    let sent = only(&wire);
    let url = format!("https://app.example/billing?purchase={}", purchase().id);
    assert_eq!(field(&sent, "return_url"), Some(url));
    assert!(sent.body.contains("return_url=https%3A%2F%2Fapp.example%2F"), "{}", sent.body);
}

/// Each key belongs to one object, so a repeated request makes no second one.
#[tokio::test(start_paused = true)]
async fn requests_about_money_have_a_key_of_their_purchase() {
    let (wire, purchase) = (accepting(), purchase());
    let client = client(&wire);
    client.intent_create(&purchase, &id("cus_1"), &card("pm_1")).await.unwrap();
    client.session_create(&purchase, &id("cus_1")).await.unwrap();
    client.intent_confirm(&id("pi_1"), &purchase).await.unwrap();
    client.intent_cancel(&id("pi_1")).await.unwrap();
    client.session_expire(&id("cs_1")).await.unwrap();
    client.customer_create(&team(TEAM)).await.unwrap();
    let sent = wire.take();
    let keys: Vec<Option<&str>> = sent.iter().map(|seen| seen.header("idempotency-key")).collect();
    let own = purchase.id.as_str();
    let session = format!("{own}-session");
    let expected = [Some(own), Some(&*session), Some("pi_1-confirm"), None, None];
    assert_eq!(keys[..5], expected);
    assert!(keys[5].is_some_and(|key| key.starts_with("acme-")), "another one for each call");
}

#[tokio::test(start_paused = true)]
async fn a_top_up_is_confirmed_without_the_customer() {
    let wire = accepting();
    client(&wire).intent_confirm(&id("pi_1"), &top_up()).await.unwrap();
    let sent = only(&wire);
    assert_eq!(field(&sent, "off_session").as_deref(), Some("true"));
    assert_eq!(field(&sent, "return_url"), None);
    assert_eq!(field(&sent, "expand[]").as_deref(), Some("latest_charge"));
}

#[tokio::test(start_paused = true)]
async fn checkout_stores_the_card_and_names_the_purchase() {
    let (wire, purchase) = (accepting(), purchase());
    client(&wire).session_create(&purchase, &id("cus_1")).await.unwrap();
    let sent = only(&wire);
    let own = purchase.id.as_str();
    let url = format!("https://app.example/billing?purchase={own}");
    for (name, value) in [
        ("mode", "payment"),
        ("customer", "cus_1"),
        ("client_reference_id", own),
        ("payment_method_types[]", "card"),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "5000"),
        ("payment_intent_data[setup_future_usage]", "off_session"),
        ("payment_intent_data[metadata][team]", TEAM),
        ("payment_intent_data[metadata][purchase]", own),
        ("metadata[team]", TEAM),
        ("metadata[purchase]", own),
        ("success_url", url.as_str()),
        ("cancel_url", url.as_str()),
    ] {
        assert_eq!(field(&sent, name).as_deref(), Some(value), "{name}");
    }
}
