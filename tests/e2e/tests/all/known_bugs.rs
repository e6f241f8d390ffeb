//! What other systems of credits are known to get wrong, each with its own test.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, admin, billing, member};

/// When the first cycle of a team ends that begins when all tests do.
const BOUNDARY: &str = "2027-02-28T00:00:00Z";

impl Api {
    async fn schedule(&self) {
        let answer = self.send(Method::POST, "/dev/schedule", "", None, None).await.ok();
        assert_eq!(answer["failed"], 0);
    }

    /// The credits of all entries of a kind, the oldest first.
    async fn entries(&self, kind: &str) -> Vec<i64> {
        let history = self.history("t").await;
        let of_kind = history.iter().rev().filter(|entry| entry["kind"] == kind);
        of_kind.map(|entry| entry["credits"].as_i64().unwrap()).collect()
    }
}

fn expert(seats: u32) -> Value {
    json!({ "plan": "multichannel_expert", "seats": seats })
}

fn found(credits: u32) -> Value {
    json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": credits })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_not_doubled_at_a_reset() {
    let api = Api::start().await;
    api.subscribe("t", &expert(1)).await;
    api.charge("t", "before", &found(150)).await.ok();
    api.travel(BOUNDARY).await;
    let all = (0..60).map(async |n| match n % 3 {
        0 => api.schedule().await,
        1 => drop(api.balance("t").await),
        _ => drop(api.charge("t", &n.to_string(), &found(1)).await.ok()),
    });
    join_all(all).await;
    assert_eq!(api.entries("grant").await, [400, 400]);
    assert_eq!(api.entries("expiry").await, [-250], "it is set, and not added to what is left");
    assert_eq!(api.split("t").await, (380, 0));
    api.settles("t").await;
}

#[tokio::test]
async fn a_grant_is_not_applied_again_in_mid_period() {
    let api = Api::start().await;
    api.subscribe("t", &expert(2)).await;
    api.charge("t", "before", &found(300)).await.ok();
    for day in ["2027-02-01", "2027-02-15", "2027-02-27"] {
        api.travel(&format!("{day}T23:59:59Z")).await;
        for seats in [2, 1, 2] {
            api.subscribe("t", &expert(seats)).await;
            api.schedule().await;
        }
        api.delete(&billing(), "/teams/t/subscription").await.ok();
        api.subscribe("t", &expert(2)).await;
        assert_eq!(api.split("t").await, (500, 0), "{day}");
    }
    assert_eq!(api.entries("grant").await, [800]);
}

/// Charges, purchases, gifts and what comes back of holds, just when the cycle turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_the_instant_of_a_reset() {
    let api = Api::start().await;
    api.subscribe("t", &expert(1)).await;
    api.buy("t", "before", 1_000).await.ok();
    // 400 free credits and 100 purchased ones.
    let hold = json!({ "credits": 500, "expires_in": 30 * 24 * 60 * 60 });
    let hold = api.post(&member("t"), "/teams/t/holds", "job", &hold).await.ok();
    let release = format!("/teams/t/holds/{}/release", hold["hold"]["id"].as_str().unwrap());
    api.travel(BOUNDARY).await;
    let all = (0..40).map(async |n: u32| {
        let key = n.to_string();
        match n % 4 {
            0 => drop(api.charge("t", &key, &found(5)).await.ok()),
            1 => drop(api.buy("t", &key, 100).await.ok()),
            2 => drop(
                api.post(&billing(), "/teams/t/gifts", &key, &json!({ "credits": 10 })).await.ok(),
            ),
            _ => {
                drop(api.send(Method::POST, &release, &member("t"), Some("done"), None).await.ok());
            }
        }
    });
    join_all(all).await;
    assert_eq!(api.split("t").await, (400 - 50, 1_000 + 1_000 + 100));
    assert_eq!(api.entries("expiry").await, [-400], "what was held of the free credits");
    api.settles("t").await;
}

#[tokio::test]
async fn month_ends_neither_overflow_nor_drift() {
    let api = Api::start().await;
    api.subscribe("t", &expert(1)).await;
    let ends = [
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
        "2027-06-30",
        "2027-07-31",
        "2027-08-31",
        "2027-09-30",
        "2027-10-31",
        "2027-11-30",
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
    ];
    for end in ends {
        assert_eq!(api.balance("t").await["next_refill"], end);
        api.travel(&format!("{end}T00:00:00Z")).await;
    }
    api.schedule().await;
    assert_eq!(api.entries("grant").await, [400; 15]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_that_is_tried_again_is_granted_once() {
    let api = Api::start().await;
    let trial = json!({ "plan": "free_trial", "started_at": "2027-01-31T09:00:00Z" });
    join_all((0..20).map(|_| api.subscribe("t", &trial))).await;
    api.travel("2027-01-31T23:00:00Z").await;
    api.subscribe("t", &trial).await;
    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!((api.entries("grant").await, api.split("t").await), (vec![200], (200, 0)));
}

/// A hundred charges take the credits below, and each of them is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automatic_top_up_is_not_made_twice() {
    let api = Api::start().await;
    api.team_with("t", 600).await;
    let top_up = json!({ "below": 500, "credits": 1_000, "monthly_limit": 10_000 });
    let settings = json!({ "auto_top_up": top_up });
    api.put(&admin("t"), "/teams/t/settings", &settings).await.ok();
    let charges = (0..100).map(async |n: u32| {
        api.charge("t", &n.to_string(), &found(2)).await.ok();
        if n.is_multiple_of(10) {
            api.get("", "/dev/events").await.ok();
        }
    });
    join_all(charges).await;
    api.get("", "/dev/events").await.ok();
    assert_eq!(api.entries("purchase").await, [1_000]);
    assert_eq!(api.split("t").await, (400, 1_000));
}

/// Everyone has seen the same balance; it is the write that decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_admitted_on_a_stale_balance() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    for balance in join_all((0..20).map(|_| api.balance("t"))).await {
        assert_eq!(balance["credits"]["total"], 100);
    }
    let call = json!({ "action": "call", "outcome": "answered", "quantity": 60 * 15 });
    let keys: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let answers = join_all(keys.iter().map(|key| api.charge("t", key, &call))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let problem = refused.problem(402, "/problems/insufficient-credits");
        assert_eq!((&problem["balance"], &problem["required"]), (&json!(40), &json!(60)));
    }
    assert_eq!(api.split("t").await, (40, 0));
}
