//! What each verb answers, and that it does so once.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware;
use local::{authorize, purchase_state};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Credits;
use shared::domain::limits::PurchaseLimits;
use shared::http::serve;
use tower::ServiceExt;

use crate::support::api::{Api, admin, billing, member, pipeline};

#[tokio::test]
async fn a_charge_and_its_replay() {
    let api = Api::start().await;
    api.team_with("t", 10).await;
    let body =
        json!({ "action": "email_finder", "outcome": "deliverable", "reference": "lead_42" });
    let first = api.charge("t", "k", &body).await;
    assert_eq!((first.status, first.is_replayed()), (201, false));
    let charge = &first.json()["charge"];
    let id = charge["id"].as_str().unwrap();
    let expected = json!({
        "id": id, "key": "k", "team": "t", "action": "email_finder", "quantity": 1,
        "outcome": "deliverable", "own_key": false, "credits": 5, "price_version": "1",
        "user": "max", "reference": "lead_42", "hold": null, "at": "2027-01-31T10:00:00.000Z",
    });
    assert_eq!(*charge, expected);

    // For ever: after the month, after the money, after a plan is gone.
    api.charge("t", "rest", &body).await.ok();
    api.delete(&billing(), "/teams/t/subscription").await.ok();
    api.travel("2027-03-15T00:00:00Z").await;
    let again = api.charge("t", "k", &body).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    assert_eq!(api.charge("t", "k", &body).await.json(), first.json());
}

#[tokio::test]
async fn a_key_means_one_operation() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let body = json!({ "action": "sms" });
    api.charge("t", "k", &body).await.ok();
    let differing = [
        json!({ "action": "sms", "quantity": 2 }),
        json!({ "action": "linkedin_enrichment", "outcome": "found" }),
        json!({ "action": "sms", "reference": "lead_1" }),
    ];
    for other in &differing {
        api.charge("t", "k", other).await.problem(422, "/problems/idempotency-key-reused");
    }
    let hold = json!({ "credits": 6 });
    let hold = api.post(&member("t"), "/teams/t/holds", "k", &hold).await;
    hold.problem(422, "/problems/idempotency-key-reused");
    api.post(&admin("t"), "/teams/t/charges", "order", &body).await.ok();
    api.buy("t", "order", 100).await.problem(422, "/problems/idempotency-key-reused");
    api.charge_by_pipeline("t", "ticket", &body).await.ok();
    let gift = api.post(&billing(), "/teams/t/gifts", "ticket", &json!({ "credits": 1 })).await;
    gift.problem(422, "/problems/idempotency-key-reused");
    assert_eq!(api.split("t").await, (82, 0));

    // Another team's key is another key, and a refused charge leaves its key free.
    api.team_with("t2", 5).await;
    api.charge("t2", "k", &body).await.problem(402, "/problems/insufficient-credits");
    api.buy("t2", "order", 100).await.ok();
    assert_eq!(api.charge("t2", "k", &body).await.status, 201);
}

#[tokio::test]
async fn a_batch_is_as_if_each_were_made_in_turn() {
    let api = Api::start().await;
    api.team_with("t", 31).await;
    api.charge("t", "earlier", &json!({ "action": "sms" })).await.ok();
    let phone = |key: &str| json!({ "key": key, "action": "phone_finder", "outcome": "valid" });
    let charges = [
        phone("a"),
        json!({ "key": "earlier", "action": "sms" }),
        json!({ "key": "too much", "action": "sms", "quantity": 3 }),
        json!({ "key": "b", "action": "email_finder", "outcome": "risky" }),
        phone("a"),
        json!({ "key": "earlier", "action": "sms", "quantity": 7 }),
        json!({ "key": "c", "action": "email_finder", "outcome": "no such" }),
        json!({ "key": "d", "action": "email_finder", "outcome": "not_found" }),
    ];
    let body = json!({ "charges": charges });
    let batch =
        api.send(Method::POST, "/teams/t/charges/batch", &member("t"), None, Some(&body)).await;
    assert_eq!(batch.status, 200, "{batch:?}");
    let results = batch.json()["results"].clone();
    let told: Vec<(&str, &Value)> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let problem = &result["problem"]["type"];
            let credits = &result["charge"]["credits"];
            (result["status"].as_str().unwrap(), if problem.is_null() { credits } else { problem })
        })
        .collect();
    let (short, reused, invalid) = (
        json!("/problems/insufficient-credits"),
        json!("/problems/idempotency-key-reused"),
        json!("/problems/invalid-request"),
    );
    assert_eq!(
        told,
        [
            ("charged", &json!(20)),
            ("replayed", &json!(6)),
            ("refused", &short),
            ("charged", &json!(5)),
            ("replayed", &json!(20)),
            ("refused", &reused),
            ("refused", &invalid),
            ("charged", &json!(0)),
        ]
    );
    assert_eq!(results[2]["problem"]["balance"], 5);
    assert_eq!(results[2]["problem"]["shortfall"], 13);
    assert_eq!(api.split("t").await, (0, 0));
    api.settles("t").await;
}

#[tokio::test]
async fn the_largest_batch() {
    let api = Api::start().await;
    api.team_with("t", 2_000).await;
    let batch = |count: usize| {
        let charges: Vec<Value> = (0..count)
            .map(|n| json!({ "key": n.to_string(), "action": "email_finder", "outcome": "risky", "user": "u_7" }))
            .collect();
        json!({ "charges": charges })
    };
    let path = "/teams/t/charges/batch";
    for wrong in [0, 501] {
        let refused = api.send(Method::POST, path, &pipeline(), None, Some(&batch(wrong))).await;
        let problem = refused.problem(400, "/problems/invalid-request");
        assert_eq!(problem["errors"][0]["field"], "charges");
    }
    let done = api.send(Method::POST, path, &pipeline(), None, Some(&batch(500))).await.ok();
    let statuses = done["results"].as_array().unwrap().iter().map(|result| &result["status"]);
    assert_eq!(statuses.filter(|status| **status == "charged").count(), 400);
    assert_eq!(done["results"][0]["charge"]["user"], "u_7");
    assert_eq!(api.split("t").await, (0, 0));
}

#[tokio::test]
async fn a_purchase_from_the_order_to_the_credits() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let first = api.buy("t", "order", 5_000).await;
    assert_eq!(first.status, 201, "{first:?}");
    let purchase = first.json()["purchase"].clone();
    assert_eq!(purchase["status"], "paid");
    assert_eq!(purchase["amount"], json!({ "cents": 5_000, "currency": "usd" }));
    let again = api.buy("t", "order", 5_000).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    api.buy("t", "order", 5_001).await.problem(422, "/problems/idempotency-key-reused");
    let path = format!("/teams/t/purchases/{}", purchase["id"].as_str().unwrap());
    assert_eq!(api.get(&member("t"), &path).await.ok()["purchase"], purchase);
    assert_eq!(api.split("t").await, (0, 5_000));

    let declined = api.buy("t", "declined", 402).await.problem(402, "/problems/payment-failed");
    assert_eq!(declined["reason"], "the card was declined");
    let again = api.buy("t", "declined", 402).await;
    again.problem(402, "/problems/payment-failed");
    assert!(again.is_replayed());
    assert_eq!(api.split("t").await, (0, 5_000));

    let pending = api.buy("t", "with a step", 202).await;
    assert_eq!(pending.status, 202, "{pending:?}");
    let pending = pending.json()["purchase"].clone();
    assert_eq!(pending["status"], "pending");
    assert!(pending["next_action"].is_object());
    let path = format!("/teams/t/purchases/{}", pending["id"].as_str().unwrap());
    assert_eq!(api.get(&admin("t"), &path).await.ok()["purchase"]["status"], "pending");
    assert_eq!(api.split("t").await, (0, 5_000));
    api.travel("2027-01-31T10:05:00Z").await;
    let confirmed = api.buy("t", "with a step", 202).await;
    assert_eq!(confirmed.ok()["purchase"]["status"], "paid");
    api.buy("t", "with a step", 202).await.ok();
    assert_eq!(api.split("t").await, (0, 5_202));
    let bought: Vec<_> =
        api.history("t").await.iter().map(|entry| entry["credits"].clone()).collect();
    assert_eq!(bought, [202, 5_000], "newest first, paid only");
}

/// A paid order is answered for ever; no payment is requested for a closed account.
#[tokio::test]
async fn an_order_outlives_the_account() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let first = api.buy("t", "order", 5_000).await;
    assert_eq!(api.buy("t", "with a step", 202).await.status, 202);
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    let again = api.buy("t", "order", 5_000).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    for key in ["with a step", "another"] {
        api.buy("t", key, 202).await.problem(409, "/problems/account-closed");
    }
    assert_eq!(api.split("t").await, (0, 5_000));
}

#[tokio::test]
async fn an_order_outlives_the_limits() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let first = api.buy("t", "order", 5_000).await.ok();
    let limits = PurchaseLimits { maximum: Credits::new(1_000), ..PurchaseLimits::default() };
    let router = purchase::routes(purchase_state(api.stack.app().clone(), limits));
    let buy = async |key: &str, credits: u64| {
        let request = Request::post("/teams/t/purchases")
            .header("authorization", format!("Bearer {}", admin("t")))
            .header("idempotency-key", key)
            .header("content-type", "application/json")
            .body(Body::from(json!({ "credits": credits }).to_string()))
            .unwrap();
        let router = serve::with_middleware(router.clone()).layer(middleware::from_fn(authorize));
        let response = router.oneshot(request).await.unwrap();
        (response.status().as_u16(), to_bytes(response.into_body(), usize::MAX).await.unwrap())
    };
    let (status, body) = buy("order", 5_000).await;
    assert_eq!((status, serde_json::from_slice::<Value>(&body).unwrap()), (200, first));
    assert_eq!(buy("order", 5_001).await.0, 422);
    assert_eq!(buy("another", 5_000).await.0, 400);
}

#[tokio::test]
async fn a_gift_rolls_over() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    let body = json!({ "credits": 70, "reference": "ticket_7" });
    let first = api.post(&billing(), "/teams/t/gifts", "g", &body).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.json()["gift"]["credits"], 70);
    let again = api.post(&billing(), "/teams/t/gifts", "g", &body).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    api.travel("2027-03-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 70));
    api.settles("t").await;
}

#[tokio::test]
async fn a_subscription_is_put() {
    let api = Api::start().await;
    let body = json!({
        "plan": "multichannel_expert", "seats": 3, "started_at": "2027-01-03T00:00:00Z",
        "account_created_at": "2024-02-01T00:00:00Z", "included_credits": null,
    });
    let first = api.subscribe("t", &body).await;
    assert_eq!(first["plan"], "multichannel_expert");
    assert_eq!(first["seats"], 3);
    assert_eq!(first["started_at"], "2027-01-03T00:00:00.000Z");
    assert_eq!(first["cycle"], json!({ "start": "2027-01-03", "end": "2027-02-03" }));
    assert_eq!(first["next_refill"], "2027-02-03");
    assert_eq!(api.subscribe("t", &body).await, first, "the same again changes nothing");
    assert_eq!(api.history("t").await.len(), 1);
    let cancelled = api.delete(&billing(), "/teams/t/subscription").await.ok();
    assert_eq!((&cancelled["cancelled"], &cancelled["next_refill"]), (&json!(true), &json!(null)));
    assert_eq!(api.subscribe("t", &body).await, first, "a cancellation can be taken back");
    assert_eq!(api.history("t").await.len(), 1);
}
