//! The rules, to the number.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, admin, billing, member, pipeline};

/// Grant 500, buy 200, spend 400, spend 200, reset.
#[tokio::test]
async fn free_credits_are_spent_first_and_reset() {
    let api = Api::start().await;
    // 500 free credits a month: a plan of 400 a seat does not have them, so an old seat of Email Pro
    // is sold, and half of it is spent before the story begins.
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
    api.settles("t").await;
}

#[tokio::test]
async fn a_hundred_leads() {
    let api = Api::start().await;
    api.team_with("t", 2_500).await;
    let emails = json!({ "action": "email_finder", "outcome": "risky", "quantity": 100 });
    let phones = json!({ "action": "phone_finder", "outcome": "valid", "quantity": 100 });
    assert_eq!(api.charge("t", "emails", &emails).await.ok()["charge"]["credits"], 500);
    assert_eq!(api.charge("t", "phones", &phones).await.ok()["charge"]["credits"], 2_000);
    assert_eq!(api.split("t").await, (0, 0));
}

/// At most the worst case, against what is left besides holds. It changes nothing.
#[tokio::test]
async fn what_a_hundred_leads_may_cost() {
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
    // To the last credit.
    let all = json!({ "leads": 1_250, "actions": ["linkedin_enrichment"] });
    assert_eq!(estimate("t", all).await.ok()["affordable"], true);
    let more = json!({ "leads": 1_251, "actions": ["linkedin_enrichment"] });
    assert_eq!(estimate("t", more).await.ok()["shortfall"], 1);
    assert_eq!(api.history("t").await.len(), 2, "the grant and the hold");
    estimate("nobody", both).await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn every_started_minute_of_a_call_counts() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (seconds, credits) in [(1, 4), (59, 4), (60, 4), (61, 8), (120, 8), (121, 12)] {
        let call = json!({ "action": "call", "outcome": "answered", "quantity": seconds });
        let charged = api.charge("t", &format!("call {seconds}"), &call).await.ok();
        assert_eq!(charged["charge"]["credits"], credits, "{seconds} seconds");
    }
}

#[tokio::test]
async fn cycles_end_on_the_same_day_or_the_last_of_the_month() {
    for (now, ends) in [
        ("2027-01-31", ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2028-01-31", ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]),
    ] {
        let api = Api::start().await;
        api.travel(&format!("{now}T10:00:00Z")).await;
        api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 2 })).await;
        for end in ends {
            let balance = api.balance("t").await;
            assert_eq!(balance["cycle"]["end"], end);
            assert_eq!(balance["next_refill"], end);
            api.charge("t", end, &json!({ "action": "sms" })).await.ok();
            api.travel(&format!("{end}T00:00:00Z")).await;
            assert_eq!(api.split("t").await, (800, 0));
        }
        api.settles("t").await;
    }
}

#[tokio::test]
async fn missed_cycles_bring_one_grant() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.travel("2027-09-15T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 0));
    assert_eq!(
        api.balance("t").await["cycle"],
        json!({ "start": "2027-08-31", "end": "2027-09-30" })
    );
    let kinds: Vec<_> = api.history("t").await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "grant").count(), 2, "the first and one");
}

#[tokio::test]
async fn the_schedule_and_the_reader_do_the_same_once() {
    let api = Api::start().await;
    api.subscribe("idle", &json!({ "plan": "multichannel_expert" })).await;
    api.subscribe("busy", &json!({ "plan": "multichannel_expert" })).await;
    api.travel("2027-02-28T00:00:00Z").await;
    api.charge("busy", "sms", &json!({ "action": "sms" })).await.ok();
    let run = api.send(Method::POST, "/dev/schedule", "", None, None).await.ok();
    // The demo team is due as well; the busy team has turned its cycle itself.
    assert_eq!(
        run,
        json!({ "turned": 2, "expired": 0, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    let again = api.send(Method::POST, "/dev/schedule", "", None, None).await.ok();
    assert_eq!(
        again,
        json!({ "turned": 0, "expired": 0, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    assert_eq!(api.split("busy").await, (394, 0));
    assert_eq!(api.split("idle").await, (400, 0));
    for team in ["idle", "busy"] {
        api.settles(team).await;
    }
}

#[tokio::test]
async fn seats_plans_and_the_end_of_them() {
    let api = Api::start().await;
    let expert = |seats: u64| json!({ "plan": "multichannel_expert", "seats": seats });
    api.subscribe("t", &expert(1)).await;
    api.buy("t", "order", 100).await.ok();
    assert_eq!(api.split("t").await, (400, 100));
    api.subscribe("t", &expert(3)).await;
    assert_eq!(api.split("t").await, (1_200, 100), "seats bring their grant at once");
    api.subscribe("t", &expert(1)).await;
    api.subscribe("t", &expert(3)).await;
    assert_eq!(api.split("t").await, (1_200, 100), "and only once in a cycle");
    api.subscribe("t", &expert(1)).await;
    assert_eq!(api.split("t").await, (1_200, 100), "a removed seat takes nothing back");
    api.travel("2027-02-28T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 100), "before the next reset");

    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!(api.split("t").await, (200, 100), "a change of plan replaces the free credits");
    assert_eq!(api.balance("t").await["next_refill"], json!(null));
    api.travel("2027-06-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (200, 100), "a one-time grant stays, and is not repeated");

    api.subscribe("t", &expert(1)).await;
    api.delete(&billing(), "/teams/t/subscription").await.ok();
    assert_eq!(api.split("t").await, (400, 100), "a cancelled plan goes on until its cycle ends");
    api.travel("2027-07-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (0, 100), "then free credits lapse and purchased ones stay");
    assert_eq!(api.balance("t").await["plan"], json!(null));
    api.subscribe("t", &expert(1)).await;
    assert_eq!(api.split("t").await, (400, 100), "whoever comes back starts afresh");
    api.settles("t").await;

    assert_eq!(api.delete(&billing(), "/teams/t?confirm=t").await.ok()["account"], "closed");
    assert_eq!(api.balance("t").await["account"], "closed");
    api.charge("t", "late", &json!({ "action": "sms" }))
        .await
        .problem(409, "/problems/account-closed");
    api.buy("t", "late order", 100).await.problem(409, "/problems/account-closed");
    let gift = api.post(&billing(), "/teams/t/gifts", "late gift", &json!({ "credits": 1 })).await;
    gift.problem(409, "/problems/account-closed");
    let again = api.put(&billing(), "/teams/t/subscription", &expert(1)).await;
    again.problem(409, "/problems/account-closed");
}

#[tokio::test]
async fn a_grant_that_was_agreed_stays_as_agreed() {
    let api = Api::start().await;
    let started = api
        .subscribe("t", &json!({ "plan": "enterprise", "included_credits": 7_000, "started_at": "2026-12-24T00:00:00Z" }))
        .await;
    assert_eq!(started["included_credits"], 7_000);
    assert_eq!(
        api.balance("t").await["cycle"],
        json!({ "start": "2027-01-24", "end": "2027-02-24" })
    );
    assert_eq!(api.split("t").await, (7_000, 0));
    api.subscribe("t", &json!({ "plan": "enterprise", "seats": 9 })).await;
    assert_eq!(api.split("t").await, (7_000, 0), "its grant is for the team, not for a seat");
}

#[tokio::test]
async fn nothing_is_refunded() {
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
