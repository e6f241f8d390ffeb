//! Enrichment is paused for the whole team when its credits run out, until a restart.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, member, pipeline};

const PAUSED: (u16, &str) = (409, "/problems/enrichment-paused");
const SHORT: (u16, &str) = (402, "/problems/insufficient-credits");

fn email() -> Value {
    json!({ "action": "email_finder", "outcome": "deliverable" })
}

fn phone() -> Value {
    json!({ "action": "phone_finder", "outcome": "valid" })
}

impl Api {
    async fn restart(&self, token: &str) -> Answer {
        self.send(Method::POST, "/teams/t/enrichment/restart", token, None, None).await
    }

    async fn enrichment(&self) -> Value {
        self.balance("t").await["enrichment"].clone()
    }
}

/// Returns a team with 12 credits whose enrichment is paused.
async fn paused() -> Api {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    api.charge("t", "too much", &phone()).await.problem(SHORT.0, SHORT.1);
    assert_eq!(api.enrichment().await, "paused");
    api
}

#[tokio::test]
async fn the_first_refusal_pauses_enrichment_for_all_callers() {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    assert_eq!(api.enrichment().await, "running");
    let refused = api.charge("t", "too much", &phone()).await;
    let problem = refused.problem(SHORT.0, SHORT.1);
    assert_eq!([&problem["balance"], &problem["required"]], [12, 20]);
    assert_eq!(api.enrichment().await, "paused");

    for body in [
        email(),
        json!({ "action": "email_finder", "outcome": "not_found" }),
        json!({ "action": "linkedin_enrichment", "outcome": "found" }),
        json!({ "action": "signal_external_contact" }),
        json!({ "action": "signal_custom" }),
        phone(),
    ] {
        let refused = api.post(&pipeline(), "/teams/t/charges", "paused", &body).await;
        let problem = refused.problem(PAUSED.0, PAUSED.1);
        assert!(problem["detail"].as_str().unwrap().contains("restart"), "{problem}");
    }
    // Other actions continue while credits cover them.
    api.charge("t", "sms", &json!({ "action": "sms" })).await.ok();
    let call = json!({ "action": "call", "outcome": "answered", "quantity": 60 });
    api.charge("t", "call", &call).await.ok();
    api.charge("t", "ai", &json!({ "action": "ai_variable", "outcome": "valid" })).await.ok();
    api.charge("t", "sms 2", &json!({ "action": "sms" })).await.problem(SHORT.0, SHORT.1);
    assert_eq!(api.split("t").await, (1, 0));
    api.assert_ledger("t").await;
}

/// A request beyond the balance pauses nothing while the balance covers one unit.
#[tokio::test]
async fn a_request_beyond_the_balance_pauses_nothing() {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    let many = json!({ "action": "email_finder", "outcome": "deliverable", "quantity": 1_000_000 });
    for key in ["absurd", "absurd again"] {
        let problem = api.charge("t", key, &many).await.problem(SHORT.0, SHORT.1);
        assert_eq!([&problem["balance"], &problem["required"]], [12, 5_000_000]);
        assert_eq!(api.enrichment().await, "running");
    }
    for key in ["first", "second"] {
        api.charge("t", key, &email()).await.ok();
    }
    api.charge("t", "third", &email()).await.problem(SHORT.0, SHORT.1);
    assert_eq!(api.enrichment().await, "paused", "2 credits do not pay for one email");
}

/// In a batch, a charge whose single unit is not covered pauses the charges after it.
#[tokio::test]
async fn a_batch_pauses_enrichment_where_one_unit_is_not_covered() {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    let charge = |key: &str, quantity: u64| json!({ "key": key, "action": "email_finder", "outcome": "risky", "quantity": quantity });
    let batch =
        json!({ "charges": [charge("a", 100), charge("b", 2), charge("c", 1), charge("d", 1)] });
    let answer = api.post(&pipeline(), "/teams/t/charges/batch", "k", &batch).await.ok();
    let results = answer["results"].as_array().unwrap().iter().map(|result| {
        let kind = result["problem"]["type"].as_str().unwrap_or_default();
        (result["status"].as_str().unwrap(), kind)
    });
    let results: Vec<_> = results.collect();
    let refused = |kind| ("refused", kind);
    assert_eq!(results, [refused(SHORT.1), ("charged", ""), refused(SHORT.1), refused(PAUSED.1)]);
    assert_eq!(api.enrichment().await, "paused");
}

#[tokio::test]
async fn replays_earlier_charges_during_a_pause() {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    api.charge("t", "email", &email()).await.ok();
    api.charge("t", "too much", &phone()).await.problem(SHORT.0, SHORT.1);
    assert!(api.charge("t", "email", &email()).await.is_replayed());
    api.charge("t", "email", &phone()).await.problem(422, "/problems/idempotency-key-reused");
}

#[tokio::test]
async fn a_purchase_does_not_restart_enrichment_and_a_restart_needs_credits() {
    let api = paused().await;
    let drain = json!({ "action": "ai_variable", "outcome": "valid", "quantity": 12 });
    api.charge("t", "drain", &drain).await.ok();
    let problem = api.restart(&member("t")).await.problem(SHORT.0, SHORT.1);
    assert_eq!([&problem["balance"], &problem["shortfall"]], [0, 1]);
    api.buy("t", "more", 100).await.ok();
    assert_eq!(api.enrichment().await, "paused");
    api.charge("t", "too early", &email()).await.problem(PAUSED.0, PAUSED.1);

    api.restart(&admin("other")).await.problem(403, "/problems/forbidden");
    assert_eq!(api.restart(&pipeline()).await.ok()["enrichment"], "running");
    assert_eq!(api.enrichment().await, "running");
    let again = api.restart(&member("t")).await;
    again.problem(409, "/problems/nothing-to-restart");
    // The keys of refused charges may be used again.
    api.charge("t", "too much", &phone()).await.ok();
    api.charge("t", "too early", &email()).await.ok();
    assert_eq!(api.split("t").await, (0, 75));
}

#[tokio::test]
async fn a_refill_does_not_restart_enrichment() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.charge("t", "all", &json!({ "action": "call", "outcome": "answered", "quantity": 6000 }))
        .await
        .ok();
    api.charge("t", "too much", &email()).await.problem(SHORT.0, SHORT.1);
    api.travel("2027-02-28T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 0));
    api.charge("t", "too much", &email()).await.problem(PAUSED.0, PAUSED.1);
    api.restart(&member("t")).await.ok();
    api.charge("t", "too much", &email()).await.ok();
}

/// Only a refusal of an enrichment action pauses enrichment.
#[tokio::test]
async fn refusals_of_other_actions_do_not_pause_enrichment() {
    let api = Api::start().await;
    api.team_with("t", 5).await;
    api.charge("t", "sms", &json!({ "action": "sms" })).await.problem(SHORT.0, SHORT.1);
    api.hold("t", "job", &json!({ "credits": 6 })).await.problem(SHORT.0, SHORT.1);
    api.hold("t", "work", &json!({ "actions": ["phone_finder"] })).await.problem(SHORT.0, SHORT.1);
    assert_eq!(api.enrichment().await, "running");
    api.charge("t", "email", &email()).await.ok();
}

#[tokio::test]
async fn a_batch_with_a_pause_equals_its_charges_in_turn() {
    let api = Api::start().await;
    api.team_with("t", 12).await;
    let charges = json!({ "charges": [
        { "key": "1", "action": "email_finder", "outcome": "risky" },
        { "key": "2", "action": "call", "outcome": "answered", "quantity": 120 },
        { "key": "3", "action": "phone_finder", "outcome": "valid" },
        { "key": "4", "action": "email_finder", "outcome": "risky" },
        { "key": "5", "action": "sms" },
    ] });
    let answer = api.post(&pipeline(), "/teams/t/charges/batch", "b", &charges).await.ok();
    let results: Vec<&str> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["problem"]["type"].as_str().or(result["status"].as_str()).unwrap())
        .collect();
    assert_eq!(results, ["charged", SHORT.1, SHORT.1, PAUSED.1, "charged"]);
    let second = &answer["results"][1]["problem"];
    assert_eq!([&second["balance"], &second["required"]], [7, 8]);
    assert_eq!(api.split("t").await, (1, 0));
    assert_eq!(api.enrichment().await, "paused");
}

/// A hold taken before the pause may be used up. A hold taken during the pause captures no
/// enrichment before the restart.
#[tokio::test]
async fn a_hold_taken_during_a_pause_captures_no_enrichment() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let held = api.hold("t", "job", &json!({ "credits": 60 })).await.ok();
    let capture = |hold: &Value, body: Value| {
        let mut body = body;
        body["hold"] = hold["hold"]["id"].clone();
        body
    };
    let much = json!({ "action": "signal_merger", "outcome": "identified" });
    api.charge("t", "much", &much).await.problem(SHORT.0, SHORT.1);
    api.charge("t", "phone", &phone()).await.problem(PAUSED.0, PAUSED.1);
    api.charge_by_pipeline("t", "in the job", &capture(&held, phone())).await.ok();

    let work = json!({ "leads": 1, "actions": ["sms", "linkedin_enrichment"] });
    api.hold("t", "work", &work).await.ok();
    let later = api.hold("t", "later", &json!({ "credits": 30 })).await.ok();
    let around = api.charge_by_pipeline("t", "around", &capture(&later, email())).await;
    around.problem(PAUSED.0, PAUSED.1);
    let sms = capture(&later, json!({ "action": "sms" }));
    api.charge_by_pipeline("t", "sms", &sms).await.ok();
    assert!(api.hold("t", "job", &json!({ "credits": 60 })).await.is_replayed());
}
