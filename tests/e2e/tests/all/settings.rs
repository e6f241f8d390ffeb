//! Settings of a team.

use serde_json::json;

use crate::support::api::{Api, member};

#[tokio::test]
async fn reads_and_changes_settings() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let path = "/teams/t/settings";
    let chosen = api.get(&member("t"), path).await.ok();
    assert_eq!(chosen, json!({ "low_balance_threshold": 100, "auto_top_up": null }));
    let body = json!({
        "low_balance_threshold": 200,
        "auto_top_up": { "below": 500, "credits": 5_000, "monthly_limit": 20_000 },
    });
    let admin = crate::support::api::admin("t");
    assert_eq!(api.put(&admin, path, &body).await.ok(), body);
    assert_eq!(api.get(&member("t"), path).await.ok(), body);
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
        let refused = api.put(&admin, path, &bad).await;
        let problem = refused.problem(400, "/problems/invalid-request");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(api.get(&member("t"), path).await.ok(), body, "nothing has changed");
    assert_eq!(api.put(&admin, path, &json!({})).await.ok(), chosen);
}
