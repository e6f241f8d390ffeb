//! Stripe's messages: signed and forged, repeated, and about money that is not expected.

use std::sync::Arc;

use futures_util::future::join_all;
use purchase::stripe::{Secret, Secrets};
use serde_json::{Value, json};
use shared::http::extractors::BODY_BYTES_MAX;
use stripe::{Faults, signature};

use crate::support::api::{Api, answer, billing, member};
use crate::support::payments::{WEBHOOK_SECRET, start, succeeded};

/// A payment that the stack has not seen: the step of a purchase is confirmed, and the message is held back.
/// Returns the id of the purchase, and the message.
async fn held_back(api: &Api) -> (Value, String) {
    let (purchase, page) = api.order("t", "order", 202).await;
    let id = page.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut account = api.stack.account().account();
    account.authenticate(&id, true, start());
    let events = account.take_events();
    let event = events.iter().find(|event| event.kind == "payment_intent.succeeded").unwrap();
    (purchase, event.body.clone())
}

#[tokio::test]
async fn only_a_recent_signature_of_the_body_is_accepted() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (purchase, body) = held_back(&api).await;
    let now = start();
    let good = signature(&body, &[WEBHOOK_SECRET], now);
    let refused = [
        None,
        Some(String::new()),
        Some("t=now,v1=00".to_owned()),
        Some(good.replace("v1=", "v0=")),
        Some(signature(&body, &["whsec_other"], now)),
        Some(signature(&body, &[""], now)),
        Some(signature(&body, &[WEBHOOK_SECRET], now - 301)),
        Some(signature(&body, &[WEBHOOK_SECRET], now + 301)),
        Some(good.replace(&format!("t={now}"), &format!("t={}", now + 1))),
    ];
    for signed in refused {
        let answer = api.message(&body, signed.as_deref()).await;
        answer.problem_of("Stripe-Signature");
    }
    api.message(&format!("{body} "), Some(&good)).await.problem_of("Stripe-Signature");
    assert_eq!(api.purchase("t", &purchase).await["status"], "pending");
    assert_eq!(api.split("t").await, (0, 0));

    // The secret is rotated: one of the signatures is by the known secret.
    let signed = signature(&body, &["whsec_other", WEBHOOK_SECRET], now - 300);
    let accepted = api.message(&body, Some(&signed)).await;
    assert_eq!(accepted.ok(), json!({ "received": true }));
    assert_eq!(api.purchase("t", &purchase).await["status"], "paid");
    assert_eq!(api.split("t").await, (0, 202));
}

#[tokio::test]
async fn a_message_of_another_kind_is_accepted_and_ignored() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let object = json!({ "id": "prod_1", "object": "product", "payment_intent": "pi_1" });
    for body in [
        json!({ "type": "product.created", "data": { "object": object } }).to_string(),
        succeeded(&json!({ "object": "payment_intent" })),
        json!({ "type": "x" }).to_string(),
    ] {
        assert_eq!(api.signed_message(&body).await.status, 200, "{body}");
    }
    // Stripe sends a message again that is refused.
    for (status, body) in [
        (500, succeeded(&json!({ "id": "pi_unknown", "object": "payment_intent" }))),
        (400, succeeded(&json!({ "id": "../customers/x", "object": "payment_intent" }))),
        (400, "[]".to_owned()),
    ] {
        assert_eq!(api.signed_message(&body).await.status, status, "{body}");
    }
    assert_eq!(api.split("t").await, (0, 0));
}

#[tokio::test]
async fn a_message_of_another_type_or_size_is_refused() {
    let api = Api::start().await;
    let large = "x".repeat(BODY_BYTES_MAX + 1);
    api.signed_message(&large).await.problem(413, "/problems/too-large");
    let request = api.http.post(format!("{}/webhooks/stripe", api.stack.url()));
    let text = request.header("content-type", "text/plain").body("{}");
    answer(text).await.problem(415, "/problems/unsupported-media-type");
}

/// Stripe delivers a message again that was not answered with 200.
#[tokio::test]
async fn a_message_that_cannot_be_processed_is_delivered_again() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (_, body) = held_back(&api).await;
    let stripe = api.stack.account();
    stripe.set_faults(Faults { lost_request_percent: 100, ..Faults::NONE });
    api.signed_message(&body).await.problem(503, "/problems/busy");
    stripe.set_faults(Faults::NONE);

    let api_key = "pk_not_a_secret_key".to_owned();
    let secret = Secret { api_key, webhook_secrets: vec![WEBHOOK_SECRET.to_owned()] };
    let url = api.serve_purchase(Secrets::Fixed(Arc::new(secret))).await;
    let refused = answer(api.message_to(&url, &body, Some(&api.signed(&body)))).await;
    assert!(!refused.problem(500, "about:blank").to_string().contains("pk_"));
    assert_eq!(api.split("t").await, (0, 0));
    assert_eq!(api.signed_message(&body).await.status, 200);
    assert_eq!(api.split("t").await, (0, 202));
}

#[tokio::test]
async fn a_repeated_message_adds_the_credits_once() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (_, body) = held_back(&api).await;
    for answer in join_all((0..10).map(|_| api.signed_message(&body))).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(api.signed_message(&body).await.status, 200);
    assert_eq!(api.split("t").await, (0, 202));
    assert_eq!(api.team_events("t", "credits.purchased").await.len(), 1);
    api.assert_ledger("t").await;
}

/// The content of a message is not trusted, even if it is signed.
#[tokio::test]
async fn a_message_that_claims_another_amount_or_team_changes_nothing() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    api.team_with("o", 0).await;
    let (purchase, page) = api.order("t", "order", 202).await;
    let id = page.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let (other, _) = api.order("o", "order", 202).await;
    for (team, purchase, cents) in [("t", &purchase, 1_000_000), ("o", &other, 202)] {
        let metadata = json!({ "team": team, "purchase": purchase, "credits": "1000000" });
        let claimed = json!({
            "id": id, "object": "payment_intent", "status": "succeeded", "currency": "usd",
            "amount": cents, "amount_received": cents, "metadata": metadata,
        });
        assert_eq!(api.signed_message(&succeeded(&claimed)).await.status, 200);
    }
    for (team, purchase) in [("t", &purchase), ("o", &other)] {
        assert_eq!(api.purchase(team, purchase).await["status"], "pending");
        assert_eq!(api.split(team).await, (0, 0));
    }
    assert_eq!(api.choose_on_page(&page, "confirm", "").await.0, 303);
    assert_eq!((api.split("t").await, api.split("o").await), ((0, 202), (0, 0)));
}

/// Another system of the company takes a payment that names a purchase.
#[tokio::test]
async fn a_payment_that_differs_from_its_purchase_is_unassigned() {
    let api = Api::start().await;
    for (team, cents, currency, is_of_team, reason) in [
        ("a", "201", "usd", true, "the payment is of another amount"),
        ("b", "202", "eur", true, "the payment is in another currency"),
        ("c", "202", "usd", false, "the payment is of another customer"),
        ("d", "202", "usd", true, "the purchase has another payment"),
    ] {
        api.team_with(team, 0).await;
        let (purchase, page) = api.order(team, "order", 202).await;
        let own = {
            let account = api.stack.account().account();
            let found = account.intents().find(|intent| intent.metadata["purchase"] == purchase);
            found.unwrap().customer.clone().unwrap()
        };
        let other = api.at_stripe("/v1/customers", &[]);
        let customer = if is_of_team { &own } else { other["id"].as_str().unwrap() };
        let fields = [
            ("amount", cents),
            ("currency", currency),
            ("customer", customer),
            ("payment_method_types[]", "card"),
            ("metadata[team]", team),
            ("metadata[purchase]", purchase.as_str().unwrap()),
        ];
        let intent = api.at_stripe("/v1/payment_intents", &fields);
        let id = intent["id"].as_str().unwrap();
        let card = api.stored_card(customer);
        let confirm = format!("/v1/payment_intents/{id}/confirm");
        api.at_stripe(&confirm, &[("payment_method", &card), ("off_session", "true")]);
        let unassigned = api.team_events(team, "purchase.unassigned").await;
        let [event] = <[Value; 1]>::try_from(unassigned).unwrap();
        let amount = json!({ "cents": cents.parse::<u64>().unwrap(), "currency": currency });
        assert_eq!(
            (&event["purchase"], &event["payment"], &event["reason"], &event["amount"]),
            (&purchase, &intent["id"], &json!(reason), &amount)
        );
        assert_eq!(api.split(team).await, (0, 0), "{reason}");
        assert_eq!(api.signed_message(&succeeded(&intent)).await.status, 200);
        assert_eq!(api.team_events(team, "purchase.unassigned").await.len(), 1);
        // An operator refunds it. It has added no credits, so that none are in question.
        assert!(api.stack.account().account().refund(id, 100, start()));
        assert_eq!(api.team_events(team, "purchase.disputed").await.len(), 0);
        // The customer has not taken the step yet.
        assert_eq!(api.choose_on_page(&page, "confirm", "").await.0, 303);
        assert_eq!(api.purchase(team, &purchase).await["status"], "paid");
        assert_eq!(api.split(team).await, (0, 202));
    }
}

impl Api {
    /// The card of a customer of the Stripe account.
    fn stored_card(&self, customer: &str) -> String {
        let request = stripe::Request {
            method: "GET".to_owned(),
            path: format!("/v1/customers/{customer}/payment_methods"),
            secret_key: Some("sk_test_other".to_owned()),
            ..stripe::Request::default()
        };
        let found = self.stack.account().answer(&request).body;
        found["data"][0]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn money_that_goes_back_is_in_the_history_and_the_credits_stay() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let refunded = api.buy("t", "refunded", 5_000).await.ok()["purchase"]["id"].take();
    let disputed = api.buy("t", "disputed", 300).await.ok()["purchase"]["id"].take();
    let [of_refunds, of_dispute] =
        [&refunded, &disputed].map(|purchase| api.taken(purchase)[0].id.clone());
    let later = start() + 60;
    {
        let mut account = api.stack.account().account();
        assert!(account.refund(&of_refunds, 1_000, later));
        assert!(account.refund(&of_refunds, 500, later));
        assert!(account.dispute(&of_dispute, later));
    }
    let events = api.team_events("t", "purchase.disputed").await;
    let body = succeeded(&json!({ "id": of_refunds, "object": "payment_intent" }));
    assert_eq!(api.signed_message(&body).await.status, 200);
    assert_eq!(api.team_events("t", "purchase.disputed").await, events, "once each");
    let stated = |found: &[Value], id: &str| {
        let mut all: Vec<_> = found
            .iter()
            .map(|it| {
                let id = it[id].as_str().unwrap().to_owned();
                let cents = it["amount"]["cents"].as_u64().unwrap();
                (cents, it["cause"].as_str().unwrap().to_owned(), it["purchase"].clone(), id)
            })
            .collect();
        all.sort_by_key(|(cents, ..)| *cents);
        all
    };
    let path = "/teams/t/history?kind=dispute";
    let entries = api.get(&member("t"), path).await.ok()["entries"].take();
    let entries = entries.as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["kind"] == "dispute" && entry["credits"] == 0));
    let stated_entries = stated(entries, "id");
    assert_eq!(stated_entries, stated(&events, "entry"));
    let expected = [(300, "chargeback", &disputed), (500, "refund", &refunded)];
    let expected = [&expected[..], &[(1_000, "refund", &refunded)]].concat();
    let of_entries: Vec<_> = stated_entries
        .iter()
        .map(|(cents, cause, purchase, _)| (*cents, cause.as_str(), purchase))
        .collect();
    assert_eq!(of_entries, expected);
    assert_eq!(api.split("t").await, (0, 5_300), "the credits stay");
    let url = format!("{}{path}", api.stack.url());
    let csv = api.http.get(url).bearer_auth(member("t")).header("accept", "text/csv");
    let csv = answer(csv).await.text;
    assert_eq!(csv.lines().filter(|line| line.contains(",dispute,0,0,")).count(), 3, "{csv}");
    assert_eq!(csv.lines().count(), 4);
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn money_for_an_account_that_was_closed_meanwhile_is_unassigned() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (purchase, page) = api.order("t", "order", 202).await;
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    assert_eq!(api.choose_on_page(&page, "confirm", "").await.0, 303);
    let [event] =
        <[Value; 1]>::try_from(api.team_events("t", "purchase.unassigned").await).unwrap();
    let amount = json!({ "cents": 202, "currency": "usd" });
    assert_eq!(
        (&event["purchase"], &event["amount"], &event["reason"]),
        (&purchase, &amount, &json!("the account was closed before the payment"))
    );
    assert_eq!(api.purchase("t", &purchase).await["status"], "paid");
    let entries = api.history("t").await;
    let bought: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "purchase").collect();
    assert_eq!(bought.len(), 1);
    assert_eq!((&bought[0]["credits"], &bought[0]["purchase"]), (&json!(202), &purchase));
}
