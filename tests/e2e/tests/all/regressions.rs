//! Faults that were found and fixed, and faults known from other credit systems, one test each.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, admin, billing, member, pipeline};
use crate::support::catalogue::catalogue_with;

fn email() -> Value {
    json!({ "action": "email_finder", "outcome": "risky" })
}

/// Uses all credits and is refused an email, which pauses enrichment.
async fn paused_team(api: &Api) {
    api.team_with("t", 4).await;
    api.charge("t", "short", &email()).await.problem(402, "/problems/insufficient-credits");
    assert_eq!(api.balance("t").await["enrichment"], "paused");
}

#[tokio::test]
async fn a_closed_and_paused_account_answers_that_it_is_closed() {
    let api = Api::start().await;
    paused_team(&api).await;
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    let closed = "/problems/account-closed";
    api.charge("t", "k", &email()).await.problem(409, closed);
    let work = json!({ "leads": 1, "actions": ["email_finder"] });
    api.post(&pipeline(), "/teams/t/holds", "h", &work).await.problem(409, closed);
    let (restart, add) = ("/teams/t/enrichment/restart", "/teams/t/monitored-accounts/acme");
    for (method, path) in [(Method::POST, restart), (Method::PUT, add)] {
        api.send(method, path, &admin("t"), None, None).await.problem(409, closed);
    }
    api.buy("t", "order", 500).await.problem(409, closed);
}

#[tokio::test]
async fn a_hold_taken_in_a_pause_captures_enrichment_after_the_restart() {
    let api = Api::start().await;
    api.team_with("t", 24).await;
    api.charge("t", "k", &json!({ "action": "phone_finder", "outcome": "valid" })).await.ok();
    api.charge("t", "short", &email()).await.problem(402, "/problems/insufficient-credits");
    api.buy("t", "order", 100).await.ok();
    let work = json!({ "leads": 4, "actions": ["email_finder"] });
    let hold = api.post(&pipeline(), "/teams/t/holds", "job", &work).await.ok();
    let capture =
        json!({ "action": "email_finder", "outcome": "risky", "hold": hold["hold"]["id"] });
    let charges = "/teams/t/charges";
    let refused = api.post(&pipeline(), charges, "lead 1", &capture).await;
    refused.problem(409, "/problems/enrichment-paused");
    let restart = "/teams/t/enrichment/restart";
    api.send(Method::POST, restart, &member("t"), None, None).await.ok();
    for lead in ["lead 1", "lead 2"] {
        assert_eq!(api.post(&pipeline(), charges, lead, &capture).await.status, 201);
    }
    // A later pause does not stop work that already holds credits.
    let most = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": 84 });
    api.charge("t", "most", &most).await.ok();
    api.charge("t", "short again", &email()).await.problem(402, "/problems/insufficient-credits");
    assert_eq!(api.post(&pipeline(), charges, "lead 3", &capture).await.status, 201);
}

#[tokio::test]
async fn an_account_is_compared_by_its_day_of_creation() {
    let api = Api::start().await;
    let body = |created: &str| json!({ "plan": "email_pro", "account_created_at": created });
    api.subscribe("t", &body("2024-02-01T10:00:00Z")).await;
    api.subscribe("t", &body("2024-02-01T10:00:00.250Z")).await;
    let other = api.put(&billing(), "/teams/t/subscription", &body("2024-02-02T10:00:00Z")).await;
    other.problem(400, "/problems/invalid-request");
}

#[tokio::test]
async fn usage_before_a_plan_change_on_the_first_day_of_a_cycle_is_included() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.charge("t", "k", &email()).await.ok();
    api.subscribe("t", &json!({ "plan": "enterprise" })).await;
    api.charge("t", "k2", &email()).await.ok();
    let path = "/teams/t/usage?cycle=2027-01-31";
    for _ in 0..200 {
        let usage = api.get(&member("t"), path).await.ok();
        if usage["credits"]["spent"] == 10 {
            assert_eq!(usage["actions"][0]["attempts"], 2);
            assert_eq!(usage["credits"]["granted"], 800);
            return;
        }
        // The relay writes the statement of the finished cycle.
        api.get("", "/dev/events").await.ok();
    }
    panic!("the usage before the change is missing");
}

#[tokio::test]
async fn replays_a_charge_of_an_action_that_left_the_catalogue() {
    let fax = json!({ "code": "fx", "unit": "page", "credits": 3, "charged": ["sent"] });
    let catalogue = catalogue_with([
        json!({ "version": "2", "effective": "2027-01-01", "actions": { "fax": fax } }),
        json!({ "version": "3", "effective": "2027-02-01", "actions": { "fax": null } }),
    ]);
    let api = Api::start_with(catalogue).await;
    api.team_with("t", 100).await;
    api.charge("t", "fax 1", &json!({ "action": "fax" })).await.ok();
    api.travel("2027-02-01T00:00:00Z").await;
    let body = json!({ "action": "fax" });
    let replay = api.charge("t", "fax 1", &body).await;
    assert_eq!((replay.status, replay.is_replayed()), (200, true), "{replay:?}");
    assert_eq!(replay.json()["charge"]["credits"], 3);
    let batch = json!({ "charges": [{ "key": "fax 1", "action": "fax", "outcome": "sent" }] });
    let path = "/teams/t/charges/batch";
    let batch = api.send(Method::POST, path, &member("t"), None, Some(&batch)).await.ok();
    assert_eq!(batch["results"][0]["status"], "replayed");
    for (key, quantity) in [("fax 2", 1), ("fax 1", 2)] {
        let other = json!({ "action": "fax", "quantity": quantity });
        api.charge("t", key, &other).await.problem(400, "/problems/invalid-request");
    }
}

#[tokio::test]
async fn a_pending_purchase_of_a_closed_account_requests_no_payment() {
    let api = Api::start().await;
    api.team_with("t", 1).await;
    let pending = api.buy("t", "order", 202).await;
    assert_eq!(pending.status, 202, "{pending:?}");
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    api.buy("t", "order", 202).await.problem(409, "/problems/account-closed");
}

#[tokio::test]
async fn a_restart_resumes_the_accounts_that_the_credits_cover() {
    let api = Api::start().await;
    api.team_with("t", 150).await;
    for account in ["a", "b", "c"] {
        let path = format!("/teams/t/monitored-accounts/{account}");
        api.send(Method::PUT, &path, &admin("t"), None, None).await.ok();
    }
    api.travel("2027-02-28T00:00:00Z").await;
    let run = api.run_schedule().await.ok();
    assert_eq!(run["paused"], 3);
    let restart = "/teams/t/enrichment/restart";
    let restart = async || api.send(Method::POST, restart, &member("t"), None, None).await;
    restart().await.problem(402, "/problems/insufficient-credits");
    api.buy("t", "order", 100).await.ok();
    let restarted = restart().await.ok();
    assert_eq!(restarted["monitored_accounts"], json!({ "resumed": 2, "paused": 1 }));
    let listed = api.get(&member("t"), "/teams/t/monitored-accounts").await.ok();
    let statuses: Vec<_> = (0..3).map(|n| listed["accounts"][n]["status"].clone()).collect();
    assert_eq!(statuses, ["active", "active", "paused"]);
    assert_eq!(api.split("t").await, (0, 0));
    api.buy("t", "more", 100).await.ok();
    assert_eq!(restart().await.ok()["monitored_accounts"], json!({ "resumed": 1, "paused": 0 }));
    restart().await.problem(409, "/problems/nothing-to-restart");
    api.assert_ledger("t").await;
}

/// A hold of a missed month returns credits after the end of their cycle. They expire at that time.
#[tokio::test]
async fn an_expiry_is_dated_after_the_release_of_its_credits() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    let hold = json!({ "credits": 100, "expires_in": 40 * 24 * 60 * 60 });
    api.post(&pipeline(), "/teams/t/holds", "job", &hold).await.ok();
    api.travel("2027-04-10T00:00:00Z").await;
    for _ in 0..2 {
        let history = api.history("t").await;
        let at = |kind: &str, credits: i64| {
            let of = |entry: &&Value| entry["kind"] == kind && entry["credits"] == credits;
            history.iter().find(of).map(|entry| entry["at"].clone())
        };
        assert_eq!(at("expiry", -300), Some(json!("2027-02-28T00:00:00.000Z")), "{history:?}");
        assert_eq!(at("expiry", -100), Some(json!("2027-03-12T10:00:00.000Z")), "{history:?}");
        assert_eq!(api.split("t").await, (400, 0));
        api.assert_ledger("t").await;
        api.run_schedule().await.ok();
    }
}

/// The end of the first cycle of a team that begins at [`NOW`](crate::support::api::NOW).
const BOUNDARY: &str = "2027-02-28T00:00:00Z";

impl Api {
    async fn schedule(&self) {
        let answer = self.run_schedule().await.ok();
        assert_eq!(answer["failed"], 0);
    }

    /// The credits of all entries of a kind, oldest first.
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
    assert_eq!(api.entries("expiry").await, [-250], "a reset replaces the remaining credits");
    assert_eq!(api.split("t").await, (380, 0));
    api.assert_ledger("t").await;
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

/// Charges, purchases, gifts and a release at the end of a cycle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_at_a_reset_add_up() {
    let api = Api::start().await;
    api.subscribe("t", &expert(1)).await;
    api.buy("t", "before", 1_000).await.ok();
    // The hold takes 400 free and 100 purchased credits.
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
    assert_eq!(api.entries("expiry").await, [-400], "the free credits that were held");
    api.assert_ledger("t").await;
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
async fn a_retried_sign_up_is_granted_once() {
    let api = Api::start().await;
    let trial = json!({ "plan": "free_trial", "started_at": "2027-01-31T09:00:00Z" });
    join_all((0..20).map(|_| api.subscribe("t", &trial))).await;
    api.travel("2027-01-31T23:00:00Z").await;
    api.subscribe("t", &trial).await;
    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!((api.entries("grant").await, api.split("t").await), (vec![200], (200, 0)));
}

/// A hundred charges bring the balance below the threshold, and the relay runs meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automatic_top_up_is_not_made_twice() {
    let api = Api::start().await;
    api.team_with("t", 600).await;
    let top_up = json!({ "below": 500, "credits": 1_000, "monthly_limit": 10_000 });
    let settings = json!({ "low_balance_threshold": 100, "auto_top_up": top_up });
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

/// All callers have read the same balance. The write condition decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_balance_admits_no_charge() {
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
