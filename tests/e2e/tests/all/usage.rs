//! Usage of the current cycle and the forecast.

use serde_json::json;

use crate::support::api::{Api, member, pipeline};

#[tokio::test]
async fn usage_of_the_current_cycle_by_action() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 3 })).await;
    api.email("hits", "deliverable", 61).await;
    api.email("misses", "not_found", 39).await;
    let usage = api.usage("t", "").await;
    let email = json!({ "action": "email_finder", "attempts": 100, "charged": 61, "credits": 305 });
    assert_eq!(usage["actions"], json!([email]));
    assert_eq!(usage["cycle"], json!({ "start": "2027-01-31", "end": "2027-02-28" }));
    assert_eq!(
        usage["credits"],
        json!({
            "spent": 305, "free_spent": 305, "purchased_spent": 0, "granted": 1_200,
            "purchased": 0, "gifted": 0, "expired": null,
        })
    );
    assert_eq!(usage["forecast"]["spent_in_a_week"], 305);
    // 895 credits at 305 per week last twenty days and a half.
    assert_eq!(usage["forecast"]["lasts_until"], "2027-02-20");
    let of_cycle = api.usage("t", "?cycle=2027-01-31").await;
    assert_eq!(of_cycle, usage);
    assert_eq!(api.usage("t", "?list=true").await["cycles"], json!([usage["cycle"]]));
    let none = api.get(&member("t"), "/teams/t/usage?cycle=2026-12-31").await;
    none.problem(404, "/problems/not-found");
    for bad in ["?cycle=yesterday", "?cycle=2027-01-31&list=true", "?month=1"] {
        let refused = api.get(&member("t"), &format!("/teams/t/usage{bad}")).await;
        refused.problem(400, "/problems/invalid-request");
    }
}

/// Free credits are spent first, including those of new seats. Captures of an open hold are
/// included.
#[tokio::test]
async fn splits_spent_credits_into_free_and_purchased() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 500).await.ok();
    let answer = api.hold("t", "job", &json!({ "credits": 100 })).await.ok();
    let hold = &answer["hold"]["id"];
    let capture =
        json!({ "action": "phone_finder", "outcome": "valid", "quantity": 2, "hold": hold });
    api.charge_by_pipeline("t", "capture", &capture).await.ok();
    api.email("much", "risky", 80).await;
    let credits = &api.usage("t", "").await["credits"];
    assert_eq!(credits["spent"], 440);
    assert_eq!([&credits["free_spent"], &credits["purchased_spent"]], [400, 40]);
    assert_eq!([&credits["granted"], &credits["purchased"]], [400, 500]);

    let release = format!("/teams/t/holds/{}/release", hold.as_str().unwrap());
    let released = api.send(reqwest::Method::POST, &release, &pipeline(), Some("end"), None).await;
    released.ok();
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 2 })).await;
    api.email("more", "risky", 20).await;
    let usage = api.usage("t", "").await;
    let credits = &usage["credits"];
    assert_eq!([&credits["spent"], &credits["granted"]], [540, 800]);
    assert_eq!([&credits["free_spent"], &credits["purchased_spent"]], [500, 40]);
    assert_eq!(usage["amount"], json!({ "cents": 500, "currency": "usd" }));
    assert_eq!(usage["actions"].as_array().unwrap().len(), 2);
    assert_eq!(api.split("t").await, (300, 460));
}
