//! Estimates of the cost of work.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, member, pipeline};

/// The maximum and the expected cost, compared with the balance without holds. An estimate changes
/// nothing.
#[tokio::test]
async fn estimates_the_maximum_cost() {
    let api = Api::start().await;
    api.team_with("t", 1_350).await;
    api.post(&member("t"), "/teams/t/holds", "hold", &json!({ "credits": 100 })).await.ok();
    let estimate = async |team: &str, work: Value| {
        let path = format!("/teams/{team}/estimates");
        api.send(Method::POST, &path, &pipeline(), None, Some(&work)).await
    };
    let both = json!({ "leads": 100, "actions": ["email_finder", "phone_finder"] });
    let expected = json!({
        "maximum": 2_500, "expected": 2_500,
        "hit_rates": { "email_finder": null, "phone_finder": null },
        "balance": 1_250, "affordable": false, "shortfall": 1_250,
    });
    assert_eq!(estimate("t", both.clone()).await.ok(), expected);
    let emails = json!({ "leads": 100, "actions": ["email_finder"] });
    let expected = json!({
        "maximum": 500, "expected": 500, "hit_rates": { "email_finder": null },
        "balance": 1_250, "affordable": true, "shortfall": 0,
    });
    assert_eq!(estimate("t", emails).await.ok(), expected);
    // A cost equal to the balance is affordable.
    let all = json!({ "leads": 1_250, "actions": ["linkedin_enrichment"] });
    assert_eq!(estimate("t", all).await.ok()["affordable"], true);
    let more = json!({ "leads": 1_251, "actions": ["linkedin_enrichment"] });
    assert_eq!(estimate("t", more).await.ok()["shortfall"], 1);
    assert_eq!(api.history("t").await.len(), 2, "the grant and the hold");
    estimate("unknown", both).await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn estimates_the_expected_cost_from_hit_rates() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 4 })).await;
    let new = api.estimate(&["email_finder"]).await;
    assert_eq!([&new["maximum"], &new["expected"]], [500, 500]);
    assert_eq!(new["hit_rates"], json!({ "email_finder": null }));
    api.email("hits", "risky", 61).await;
    api.email("misses", "unverified", 39).await;
    let known = api.estimate(&["email_finder", "phone_finder"]).await;
    assert_eq!([&known["maximum"], &known["expected"]], [2_500, 1_525]);
    assert_eq!(known["hit_rates"], json!({ "email_finder": 0.61, "phone_finder": null }));
    assert_eq!([&known["balance"], &known["shortfall"]], [1_295, 1_205]);
}
