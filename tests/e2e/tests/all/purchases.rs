//! Purchases.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::middleware;
use engine::prices;
use futures_util::future::join_all;
use local::{authorize, purchase_state};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::Credits;
use shared::domain::catalogue::Catalogue;
use shared::http::serve;
use shared::lambda::App;
use tower::ServiceExt;

use crate::support::api::{Api, admin, billing, member};
use crate::support::catalogue::catalogue_with;

#[tokio::test]
async fn a_purchase_is_paid_declined_or_pending() {
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
    assert!(declined["reason"].as_str().unwrap().starts_with("the card was declined"));
    let again = api.buy("t", "declined", 402).await;
    again.problem(402, "/problems/payment-failed");
    assert!(again.is_replayed());
    assert_eq!(api.split("t").await, (0, 5_000));

    let pending = api.buy("t", "with a step", 202).await;
    assert_eq!(pending.status, 202, "{pending:?}");
    let pending = pending.json()["purchase"].clone();
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["next_action"]["type"], "redirect");
    let path = format!("/teams/t/purchases/{}", pending["id"].as_str().unwrap());
    assert_eq!(api.get(&admin("t"), &path).await.ok()["purchase"]["status"], "pending");
    assert_eq!(api.split("t").await, (0, 5_000));
    let page = &pending["next_action"]["url"];
    let again = api.buy("t", "with a step", 202).await;
    assert_eq!(again.ok()["purchase"]["next_action"]["url"], *page, "the same page");
    api.travel("2027-01-31T10:05:00Z").await;
    let (status, place) = api.choose_on_page(page, "confirm", "").await;
    assert_eq!(status, 303, "{place}");
    assert_eq!(api.split("t").await, (0, 5_202), "Stripe's message was received");
    let confirmed = api.buy("t", "with a step", 202).await;
    assert_eq!(confirmed.ok()["purchase"]["status"], "paid");
    api.buy("t", "with a step", 202).await.ok();
    assert_eq!(api.split("t").await, (0, 5_202));
    let bought: Vec<_> =
        api.history("t").await.iter().map(|entry| entry["credits"].clone()).collect();
    assert_eq!(bought, [202, 5_000], "newest first, paid only");
}

fn invoice(credits: u64, cents: u64, reference: &str) -> Value {
    let amount = json!({ "cents": cents, "currency": "usd" });
    json!({ "credits": credits, "amount": amount, "reference": reference })
}

#[tokio::test]
async fn a_purchase_paid_elsewhere_is_recorded_once() {
    const PATH: &str = "/teams/t/purchases/recorded";
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let body = invoice(5_000, 4_500, "inv_77");
    let concurrent = (0..8).map(async |_| api.post(&billing(), PATH, "inv", &body).await);
    let answers = join_all(concurrent).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.json() == answers[0].json()), "{answers:?}");
    let purchase = &answers[0].json()["purchase"];
    assert_eq!(purchase["amount"], body["amount"]);
    assert_eq!(
        [&purchase["status"], &purchase["reference"], &purchase["recorded"]],
        [&json!("paid"), &json!("inv_77"), &json!(true)]
    );
    assert_eq!(api.split("t").await, (0, 5_000));
    let entry = &api.history("t").await[0];
    assert_eq!(
        [&entry["kind"], &entry["credits"], &entry["reference"], &entry["purchase"]],
        [&json!("purchase"), &json!(5_000), &json!("inv_77"), &purchase["id"]]
    );
    let usage = api.usage("t", "").await;
    assert_eq!(usage["amount"], json!({ "cents": 4_500, "currency": "usd" }));
    api.assert_ledger("t").await;

    for other in
        [invoice(5_001, 4_500, "inv_77"), invoice(5_000, 1, "inv_77"), invoice(5_000, 4_500, "b")]
    {
        let reused = api.post(&billing(), PATH, "inv", &other).await;
        reused.problem(422, "/problems/idempotency-key-reused");
    }
    let euros = json!({ "credits": 5, "amount": { "cents": 5, "currency": "eur" } });
    api.post(&billing(), PATH, "euros", &euros).await.problem_of("amount.currency");
    for credits in [0, 1_000_000_001] {
        api.post(&billing(), PATH, "range", &invoice(credits, 5, "c")).await.problem_of("credits");
    }
    let many = invoice(5, 1_000_000_000_001, "c");
    api.post(&billing(), PATH, "cents", &many).await.problem_of("amount.cents");
    api.post(&billing(), "/teams/unknown/purchases/recorded", "k", &body)
        .await
        .problem(404, "/problems/not-found");
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    api.post(&billing(), PATH, "late", &body).await.problem(409, "/problems/account-closed");
    assert!(api.post(&billing(), PATH, "inv", &body).await.is_replayed());
}

/// The list has the purchases of every status, newest first.
#[tokio::test]
async fn purchases_are_listed_in_pages() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    for (day, credits) in [(1, 5_000), (2, 402), (3, 202), (4, 300)] {
        api.travel(&format!("2027-02-0{day}T10:00:00Z")).await;
        api.buy("t", &format!("order {day}"), credits).await;
    }
    api.travel("2027-02-05T10:00:00Z").await;
    let body = invoice(7, 6, "inv");
    api.post(&billing(), "/teams/t/purchases/recorded", "inv", &body).await.ok();
    let (mut listed, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = api.get(&member("t"), &format!("/teams/t/purchases?{query}")).await.ok();
        let purchases = page["purchases"].as_array().unwrap();
        assert!(purchases.len() <= 2);
        listed.extend(
            purchases.iter().map(|found| (found["credits"].clone(), found["status"].clone())),
        );
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    let expected = [(7, "paid"), (300, "paid"), (202, "pending"), (402, "failed"), (5_000, "paid")];
    assert_eq!(listed, expected.map(|(credits, status)| (json!(credits), json!(status))));
    for query in ["limit=0", "cursor=nonsense", "colour=red"] {
        let refused = api.get(&member("t"), &format!("/teams/t/purchases?{query}")).await;
        refused.problem(400, "/problems/invalid-request");
    }
    api.get(&billing(), "/teams/unknown/purchases").await.problem(404, "/problems/not-found");
}

/// A purchase whose step the customer does not take is pending for a day. Meanwhile it delays automatic top-ups.
#[tokio::test]
async fn an_abandoned_purchase_fails_after_a_day() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let pending = api.buy("t", "order", 202).await.ok()["purchase"].clone();
    let path = format!("/teams/t/purchases/{}", pending["id"].as_str().unwrap());
    let top_up = json!({ "below": 100, "credits": 300, "monthly_limit": 300 });
    let settings = json!({ "low_balance_threshold": null, "auto_top_up": top_up });
    api.put(&admin("t"), "/teams/t/settings", &settings).await.ok();
    for (time, waiting) in [("10:00:00", 0), ("10:06:00", 1), ("10:30:00", 0), ("11:06:00", 1)] {
        api.travel(&format!("2027-01-31T{time}Z")).await;
        let done = api.run_schedule().await.ok()["purchases"].clone();
        assert_eq!((&done["waiting"], &done["errors"]), (&json!(waiting), &json!(0)), "{time}");
        assert_eq!(api.get(&member("t"), &path).await.ok()["purchase"]["status"], "pending");
    }
    assert_eq!(api.split("t").await, (0, 0));
    api.travel("2027-02-01T10:06:00Z").await;
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 1);
    let failed = api.get(&member("t"), &path).await.ok()["purchase"].clone();
    let reason = "the payment was not completed within a day";
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &json!(reason)));
    let again = api.buy("t", "order", 202).await.problem(402, "/problems/payment-failed");
    assert_eq!(again["reason"], reason);
    api.get("", "/dev/events").await.ok();
    assert_eq!(api.split("t").await, (0, 300), "the top-up that waited");
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 0);
}

#[tokio::test]
async fn a_pending_purchase_of_a_closed_account_ends_at_the_next_run() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let pending = api.buy("t", "order", 202).await.ok()["purchase"].clone();
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    api.travel("2027-01-31T10:06:00Z").await;
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 1);
    let path = format!("/teams/t/purchases/{}", pending["id"].as_str().unwrap());
    let failed = api.get(&member("t"), &path).await.ok()["purchase"].clone();
    assert_eq!(failed["reason"], "the account was closed");
}

/// A paid order is replayed after the account is closed. No payment is requested for a closed
/// account.
#[tokio::test]
async fn replays_a_paid_order_after_the_account_is_closed() {
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
async fn replays_a_paid_order_after_the_limits_changed() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let first = api.buy("t", "order", 5_000).await.ok();
    let mut limited = prices().clone();
    limited.purchase.maximum = Credits::new(1_000);
    let catalogue = Catalogue::new(limited, Vec::new());
    let router = purchase::routes(purchase_state(App { catalogue, ..api.stack.app().clone() }));
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
async fn replays_an_order_at_its_price_after_the_price_changed() {
    let dearer = json!({ "version": "2", "effective": "2027-02-01", "credit": { "cents": 3 } });
    let api = Api::start_with(catalogue_with([dearer])).await;
    api.team_with("t", 0).await;
    let first = api.buy("t", "order", 5_000).await.ok();
    let pending = api.buy("t", "with a step", 202).await;
    assert_eq!(pending.json()["purchase"]["amount"]["cents"], 202);
    let page = pending.json()["purchase"]["next_action"]["url"].clone();
    api.travel("2027-02-01T00:00:00Z").await;
    let again = api.buy("t", "order", 5_000).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first));
    api.choose_on_page(&page, "confirm", "").await;
    let paid = api.buy("t", "with a step", 202).await.ok();
    assert_eq!(paid["purchase"]["amount"]["cents"], 202, "ordered at the earlier price");
    assert_eq!(api.buy("t", "another", 100).await.ok()["purchase"]["amount"]["cents"], 300);
    assert_eq!(api.usage("t", "").await["amount"]["cents"], 5_000 + 202 + 300);
}

#[tokio::test]
async fn refuses_refunds() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let bought = api.buy("t", "order", 5_000).await.ok();
    let path = format!("/teams/t/purchases/{}", bought["purchase"]["id"].as_str().unwrap());
    for token in [admin("t"), member("t")] {
        let path = format!("{path}/refund");
        let refused = api.send(Method::POST, &path, &token, None, None).await;
        let problem = refused.problem(403, "/problems/forbidden");
        assert!(problem["detail"].as_str().unwrap().contains("not refunded"));
    }
    assert_eq!(api.split("t").await, (0, 5_000));
}

#[tokio::test]
async fn sells_credits_at_one_cent_each_within_limits() {
    let api = Api::start().await;
    let options = api.get(&member("unknown"), "/purchase-options").await.ok();
    assert_eq!(options["cents_per_credit"], 1);
    assert_eq!((&options["minimum"], &options["maximum"]), (&json!(100), &json!(1_000_000)));
    assert_eq!(
        options["presets"][1],
        json!({ "credits": 5_000, "amount": { "cents": 5_000, "currency": "usd" } })
    );
    api.team_with("t", 0).await;
    for (number, outside) in [99_u64, 1_000_001].into_iter().enumerate() {
        api.buy("t", &number.to_string(), outside).await.problem(400, "/problems/invalid-request");
    }
    for (number, within) in [100_u64, 1_000_000].into_iter().enumerate() {
        let bought = api.buy("t", &number.to_string(), within).await.ok();
        assert_eq!(bought["purchase"]["amount"], json!({ "cents": within, "currency": "usd" }));
    }
    assert_eq!(api.split("t").await, (0, 1_000_100));
}
