//! Settings of a team.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, admin, member};

const PATH: &str = "/teams/t/settings";

#[tokio::test]
async fn reads_and_changes_settings() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let chosen = api.get(&member("t"), PATH).await.ok();
    assert_eq!(chosen, json!({ "low_balance_threshold": 100, "auto_top_up": null }));
    let body = json!({
        "low_balance_threshold": 200,
        "auto_top_up": { "below": 500, "credits": 5_000, "monthly_limit": 20_000 },
    });
    assert_eq!(api.put(&admin("t"), PATH, &body).await.ok(), body);
    assert_eq!(api.get(&member("t"), PATH).await.ok(), body);
    let off = json!({ "low_balance_threshold": null, "auto_top_up": null });
    assert_eq!(api.put(&admin("t"), PATH, &off).await.ok(), off);
    assert_eq!(api.get(&member("t"), PATH).await.ok(), off);
    api.put(&admin("t"), PATH, &json!({ "auto_top_up": null }))
        .await
        .problem_of("low_balance_threshold");
    api.put(&admin("t"), PATH, &json!({ "low_balance_threshold": 1 }))
        .await
        .problem_of("auto_top_up");
    assert_eq!(api.get(&member("t"), PATH).await.ok(), off, "nothing has changed");
}

#[tokio::test]
async fn changes_single_settings() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let patch =
        async |body: Value| api.send(Method::PATCH, PATH, &admin("t"), None, Some(&body)).await;
    let top_up = json!({ "below": 500, "credits": 5_000, "monthly_limit": 20_000 });
    let with = |threshold: Value, top_up: &Value| json!({ "low_balance_threshold": threshold, "auto_top_up": top_up });
    for (change, expected) in [
        (json!({}), with(json!(100), &Value::Null)),
        (json!({ "auto_top_up": top_up }), with(json!(100), &top_up)),
        (json!({ "low_balance_threshold": 7 }), with(json!(7), &top_up)),
        (json!({ "low_balance_threshold": null }), with(Value::Null, &top_up)),
        (json!({ "auto_top_up": null }), with(Value::Null, &Value::Null)),
    ] {
        assert_eq!(patch(change.clone()).await.ok(), expected, "{change}");
        assert_eq!(api.get(&member("t"), PATH).await.ok(), expected, "{change}");
    }
    patch(json!({ "threshold": 1 })).await.problem_of("threshold");
    api.delete(&crate::support::api::billing(), "/teams/t?confirm=t").await.ok();
    patch(json!({})).await.problem(409, "/problems/account-closed");
}

#[tokio::test]
async fn rejects_settings_out_of_range() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let before = api.get(&member("t"), PATH).await.ok();
    for (bad, field) in [
        (json!({ "low_balance_threshold": -1 }), "low_balance_threshold"),
        (json!({ "low_balance_threshold": 1_000_000_001 }), "low_balance_threshold"),
        (json!({ "threshold": 1 }), "threshold"),
        (json!({ "auto_top_up": { "below": 1, "credits": 500 } }), "auto_top_up.monthly_limit"),
        (json!({ "auto_top_up": [1, 500, 500] }), "auto_top_up"),
        (
            json!({ "auto_top_up": { "below": 1, "credits": 99, "monthly_limit": 500 } }),
            "auto_top_up.credits",
        ),
        (
            json!({ "auto_top_up": { "below": 0, "credits": 100, "monthly_limit": 500 } }),
            "auto_top_up.below",
        ),
        (
            json!({ "auto_top_up": { "below": 1, "credits": 500, "monthly_limit": 499 } }),
            "auto_top_up.monthly_limit",
        ),
    ] {
        api.send(Method::PATCH, PATH, &admin("t"), None, Some(&bad)).await.problem_of(field);
    }
    assert_eq!(api.get(&member("t"), PATH).await.ok(), before, "nothing has changed");
}
