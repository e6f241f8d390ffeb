//! Charges: replays, keys, batches and prices.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, DAY, admin, billing, member, pipeline};

#[tokio::test]
async fn replays_a_charge_forever() {
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

    // A replay is answered after the cycle, without credits, without a plan, and after the account
    // is closed.
    api.charge("t", "rest", &body).await.ok();
    api.delete(&billing(), "/teams/t/subscription").await.ok();
    api.travel("2027-03-15T00:00:00Z").await;
    let again = api.charge("t", "k", &body).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    assert_eq!(api.charge("t", "k", &body).await.json(), first.json());
}

#[tokio::test]
async fn rejects_a_reused_key() {
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

    // Keys of different teams are independent. A refused charge leaves its key free.
    api.team_with("t2", 5).await;
    api.charge("t2", "k", &body).await.problem(402, "/problems/insufficient-credits");
    api.buy("t2", "order", 100).await.ok();
    assert_eq!(api.charge("t2", "k", &body).await.status, 201);
}

#[tokio::test]
async fn a_batch_equals_its_charges_in_turn() {
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
    let summary: Vec<(&str, &Value)> = results
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
        summary,
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
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn accepts_up_to_500_charges_in_a_batch() {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_charges_on_a_balance_for_fifty_accept_fifty() {
    let api = Api::start().await;
    api.team_with("t", 250).await;
    let body = json!({ "action": "email_finder", "outcome": "deliverable" });
    let keys: Vec<String> = (0..1_000).map(|n| format!("lead {n}")).collect();
    let answers = join_all(keys.iter().map(|key| api.charge("t", key, &body))).await;
    let (charged, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(charged.len(), 50);
    let (short, paused): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|answer| answer.status == 402);
    assert!(!short.is_empty());
    for short in short {
        let problem = short.problem(402, "/problems/insufficient-credits");
        assert_eq!(problem["required"], 5);
    }
    for paused in paused {
        paused.problem(409, "/problems/enrichment-paused");
    }
    assert_eq!(api.split("t").await, (0, 0));
    api.assert_ledger("t").await;
    assert_eq!(api.history("t").await.len(), 51, "the grant and fifty charges");
}

#[tokio::test]
async fn charges_a_hundred_leads() {
    let api = Api::start().await;
    api.team_with("t", 2_500).await;
    let emails = json!({ "action": "email_finder", "outcome": "risky", "quantity": 100 });
    let phones = json!({ "action": "phone_finder", "outcome": "valid", "quantity": 100 });
    assert_eq!(api.charge("t", "emails", &emails).await.ok()["charge"]["credits"], 500);
    assert_eq!(api.charge("t", "phones", &phones).await.ok()["charge"]["credits"], 2_000);
    assert_eq!(api.split("t").await, (0, 0));
}

#[tokio::test]
async fn charges_every_started_minute_of_a_call() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (seconds, credits) in [(1, 4), (59, 4), (60, 4), (61, 8), (120, 8), (121, 12)] {
        let call = json!({ "action": "call", "outcome": "answered", "quantity": seconds });
        let charged = api.charge("t", &format!("call {seconds}"), &call).await.ok();
        assert_eq!(charged["charge"]["credits"], credits, "{seconds} seconds");
    }
}

#[tokio::test]
async fn refuses_a_charge_beyond_the_balance_without_an_entry() {
    let api = Api::start().await;
    api.team_with("t", 13).await;
    let body = json!({ "action": "phone_finder", "outcome": "valid" });
    let refused = api.post(&pipeline(), "/teams/t/charges", "k", &body).await;
    let problem = refused.problem(402, "/problems/insufficient-credits");
    assert_eq!(problem["balance"], 13);
    assert_eq!(problem["required"], 20);
    assert_eq!(problem["shortfall"], 7);
    assert!(problem["detail"].as_str().unwrap().contains("admin"));
    assert_eq!(api.history("t").await.len(), 1, "a refusal writes no entry");
}

#[tokio::test]
async fn charges_a_batch_that_alternates_between_holds() {
    let api = Api::start().await;
    api.team_with("t", 10_000).await;
    let holds = [api.held("t", 1_250, DAY).await, api.held("t", 1_251, DAY).await];
    let charges: Vec<Value> = (0..500)
        .map(|n| {
            let key = format!("lead {}", n % 498);
            json!({ "key": key, "action": "email_finder", "outcome": "risky", "hold": holds[n % 2] })
        })
        .collect();
    let path = "/teams/t/charges/batch";
    let body = json!({ "charges": charges });
    let results = api.send(Method::POST, path, &pipeline(), None, Some(&body)).await.ok();
    let results = results["results"].as_array().unwrap();
    for (number, result) in results.iter().enumerate() {
        let expected = if number < 498 { "charged" } else { "replayed" };
        assert_eq!(result["status"], expected, "{number}: {result}");
        assert_eq!(result["charge"]["key"], format!("lead {}", number % 498));
    }
    assert_eq!(api.all_credits("t").await, (7_499, 0, 11));
    api.assert_ledger_with_holds("t").await;
}
