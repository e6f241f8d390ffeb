//! The catalogue of another product, which makes images: the main stories run on its actions and plans.

use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;

use crate::support::api::{Api, NOW, admin, billing, member, pipeline};
use crate::support::catalogue::IMAGES;

/// A stack with the catalogue, and a team on the plan `studio` with 300 free credits.
async fn studio() -> Api {
    let api = Api::start_with(Catalogue::parse(IMAGES).unwrap()).await;
    api.subscribe("t", &json!({ "plan": "studio" })).await;
    api
}

fn image(outcome: &str) -> Value {
    json!({ "action": "image", "outcome": outcome })
}

async fn cost(api: &Api, key: &str, body: &Value) -> Value {
    api.charge("t", key, body).await.ok()["charge"]["credits"].clone()
}

#[tokio::test]
async fn an_image_is_charged_by_its_outcome_and_tokens_by_the_started_thousand() {
    let api = studio().await;
    for (outcome, credits) in [("delivered", 8), ("rejected", 0), ("failed", 0)] {
        assert_eq!(cost(&api, outcome, &image(outcome)).await, credits);
    }
    for (tokens, credits) in [(1, 1), (1_000, 1), (1_001, 2)] {
        let body = json!({ "action": "prompt_assistant", "quantity": tokens });
        assert_eq!(cost(&api, &tokens.to_string(), &body).await, credits, "{tokens} tokens");
    }
    let own = json!({ "action": "prompt_assistant", "own_key": true });
    assert_eq!(cost(&api, "own", &own).await, 0);
    for action in ["email_finder", "phone_finder", "call"] {
        let unknown = api.charge("t", action, &json!({ "action": action })).await;
        unknown.problem(400, "/problems/invalid-request");
    }
    assert_eq!(api.split("t").await, (300 - 8 - 4, 0));
    let usage = api.usage("t", "").await;
    assert_eq!(
        usage["actions"],
        json!([
            { "action": "image", "attempts": 3, "charged": 1, "credits": 8 },
            { "action": "prompt_assistant", "attempts": 5, "charged": 4, "credits": 4 },
        ])
    );
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn a_job_holds_captures_and_releases() {
    let api = studio().await;
    let work = json!({ "leads": 10, "actions": ["image", "upscale"] });
    let hold = api.hold("t", "job", &work).await.ok()["hold"].clone();
    assert_eq!(hold["credits"], 100);
    let id = hold["id"].as_str().unwrap();
    let captured = json!({ "action": "image", "outcome": "delivered", "hold": id });
    assert_eq!(api.charge_by_pipeline("t", "1", &captured).await.ok()["charge"]["credits"], 8);
    let released = api.release("t", id, "release").await.ok();
    assert_eq!(released["hold"]["captured"], 8);
    assert_eq!(api.split("t").await, (292, 0));
    let body = json!({ "leads": 4, "actions": ["image"] });
    let estimate = api.post(&pipeline(), "/teams/t/estimates", "", &body).await.ok();
    assert_eq!(
        (&estimate["maximum"], &estimate["hit_rates"]),
        (&json!(32), &json!({ "image": 1.0 }))
    );
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn credits_are_sold_at_two_euro_cents() {
    let api = studio().await;
    let options = api.get(&member("t"), "/purchase-options").await.ok();
    assert_eq!(
        options,
        json!({
            "cents_per_credit": 2, "currency": "eur", "minimum": 50, "maximum": 20_000,
            "presets": [
                { "credits": 100, "amount": { "cents": 200, "currency": "eur" } },
                { "credits": 500, "amount": { "cents": 1_000, "currency": "eur" } },
                { "credits": 2_500, "amount": { "cents": 5_000, "currency": "eur" } },
            ],
        })
    );
    let amount = json!({ "cents": 1_000, "currency": "eur" });
    assert_eq!(api.buy("t", "order", 500).await.ok()["purchase"]["amount"], amount);
    api.buy("t", "too few", 49).await.problem(400, "/problems/invalid-request");
    let events = api.get("", "/dev/events").await.ok();
    let purchased = |event: &&Value| event["detail-type"] == "credits.purchased";
    let event = events["events"].as_array().unwrap().iter().find(purchased).unwrap();
    assert_eq!(event["detail"]["amount"], amount);
    assert_eq!(api.usage("t", "").await["amount"], amount);
    api.travel("2027-02-28T00:00:00Z").await;
    api.run_schedule().await.ok();
    api.get("", "/dev/events").await.ok();
    assert_eq!(api.usage("t", "?cycle=2027-01-31").await["amount"], amount, "in the statement");
    assert_eq!(api.split("t").await, (300, 500), "refilled");
}

#[tokio::test]
async fn only_images_pause_when_credits_run_out() {
    let api = studio().await;
    let most = json!({ "action": "upscale", "outcome": "delivered", "quantity": 147 });
    assert_eq!(cost(&api, "most", &most).await, 294);
    let refused = api.charge("t", "short", &image("delivered")).await;
    refused.problem(402, "/problems/insufficient-credits");
    assert_eq!(api.balance("t").await["enrichment"], "paused");
    api.charge("t", "again", &image("failed")).await.problem(409, "/problems/enrichment-paused");
    let upscale = json!({ "action": "upscale", "outcome": "delivered" });
    assert_eq!(cost(&api, "other", &upscale).await, 2, "other actions continue");
    api.buy("t", "order", 100).await.ok();
    api.post(&admin("t"), "/teams/t/enrichment/restart", "", &json!({})).await.ok();
    assert_eq!(cost(&api, "short", &image("delivered")).await, 8);
}

#[tokio::test]
async fn the_free_credits_of_its_trial_are_freemium() {
    let api = Api::start_with(Catalogue::parse(IMAGES).unwrap()).await;
    for (team, plan, freemium, subscription) in [("a", "starter", 40, 0), ("b", "studio", 0, 300)] {
        api.subscribe(team, &json!({ "plan": plan })).await;
        let own = api.get(&member(team), "/team/credits").await.ok();
        let remaining = &own["details"]["remaining"];
        assert_eq!(
            (&remaining["freemium"], &remaining["subscription"]),
            (&json!(freemium), &json!(subscription))
        );
    }
    let unknown = json!({ "plan": "multichannel_expert" });
    let unknown = api.put(&billing(), "/teams/c/subscription", &unknown).await;
    unknown.problem(400, "/problems/invalid-request");
}

#[tokio::test]
async fn a_product_without_a_monthly_action_has_no_monitored_accounts() {
    let api = studio().await;
    let added = api.put(&admin("t"), "/teams/t/monitored-accounts/acme", &json!({})).await;
    let problem = added.problem(400, "/problems/invalid-request");
    assert_eq!(problem["errors"][0]["field"], "account");
    assert_eq!(api.split("t").await, (300, 0));
}

#[tokio::test]
async fn a_price_change_applies_from_its_date_and_never_to_a_replay() {
    let api = studio().await;
    let charge =
        async |key: &str| api.charge("t", key, &image("delivered")).await.ok()["charge"].clone();
    let first = charge("1").await;
    assert_eq!((&first["credits"], &first["price_version"]), (&json!(8), &json!("2026-01")));
    api.travel("2027-05-31T23:59:59Z").await;
    assert_eq!(charge("2").await["credits"], 8);
    api.travel("2027-06-01T00:00:00Z").await;
    let third = charge("3").await;
    assert_eq!((&third["credits"], &third["price_version"]), (&json!(10), &json!("2027-06")));
    assert_eq!(charge("1").await, first, "a replay");
    for (at, version) in [(&NOW[..10], "2026-01"), ("2027-06-01", "2027-06")] {
        let listed = api.get(&member("t"), &format!("/prices?at={at}")).await.ok();
        assert_eq!(listed["version"], version);
    }
}
