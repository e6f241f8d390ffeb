//! The balance of a team.

use serde_json::json;

use crate::support::api::{Api, admin, billing, member, pipeline};

#[tokio::test]
async fn reads_the_balance() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 3 })).await;
    api.buy("t", "order", 150).await.ok();
    let expected = json!({
        "team": "t", "plan": "multichannel_expert", "seats": 3, "cancelled": false,
        "credits": { "total": 1_350, "free": 1_200, "purchased": 150, "held": 0 },
        "cycle": { "start": "2027-01-31", "end": "2027-02-28" }, "next_refill": "2027-02-28",
        "enrichment": "running", "paused_at": null, "auto_top_up": "off", "account": "active",
    });
    for token in [member("t"), admin("t"), pipeline()] {
        assert_eq!(api.get(&token, "/teams/t/credits").await.ok(), expected);
    }
}

#[tokio::test]
async fn the_own_team_has_the_public_shape() {
    let api = Api::start().await;
    let shape = |total: u64, freemium: u64, subscription: u64, paid: u64| {
        json!({ "credits": total, "details": { "remaining": {
            "total": total, "freemium": freemium, "subscription": subscription, "gifted": 0, "paid": paid,
        } } })
    };
    api.subscribe("trial", &json!({ "plan": "free_trial" })).await;
    assert_eq!(api.get(&member("trial"), "/team/credits").await.ok(), shape(200, 200, 0, 0));
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 100).await.ok();
    assert_eq!(api.get(&member("t"), "/team/credits").await.ok(), shape(500, 0, 400, 100));
}

/// Grants 1,000, spends 500, buys 200, spends 400, spends 200, resets.
#[tokio::test]
async fn free_credits_are_spent_first_and_reset() {
    let api = Api::start().await;
    // An old Email Pro seat has 1,000 free credits; half of them are spent first.
    let old = json!({ "plan": "email_pro", "account_created_at": "2024-02-01T00:00:00Z" });
    api.subscribe("t", &old).await;
    let spend = async |key: &str, credits: u64| {
        let body =
            json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": credits });
        api.charge("t", key, &body).await.ok();
    };
    spend("before", 500).await;
    assert_eq!(api.split("t").await, (500, 0));
    api.buy("t", "order", 200).await.ok();
    assert_eq!(api.split("t").await, (500, 200));
    spend("a", 400).await;
    assert_eq!(api.split("t").await, (100, 200));
    spend("b", 200).await;
    assert_eq!(api.split("t").await, (0, 100));
    api.travel("2027-02-28T00:00:00Z").await;
    assert_eq!(api.split("t").await, (1_000, 100));
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn answers_not_found_for_unknown_teams() {
    let api = Api::start().await;
    for path in [
        "/teams/unknown/credits",
        "/teams/unknown/history",
        "/teams/unknown/purchases/p_1",
        "/team/credits",
    ] {
        api.get(&member("unknown"), path).await.problem(404, "/problems/not-found");
    }
    api.charge("unknown", "k", &json!({ "action": "sms" }))
        .await
        .problem(404, "/problems/not-found");
    api.buy("unknown", "k", 100).await.problem(404, "/problems/not-found");
    let gift = api.post(&billing(), "/teams/unknown/gifts", "k", &json!({ "credits": 1 })).await;
    gift.problem(404, "/problems/not-found");
    for path in ["/teams/unknown/subscription", "/teams/unknown?confirm=unknown"] {
        api.delete(&billing(), path).await.problem(404, "/problems/not-found");
    }
    api.get(&member("unknown"), "/teams/unknown/credits").await.problem(404, "/problems/not-found");
}
