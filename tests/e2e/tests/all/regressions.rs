//! Faults that were found and fixed, one test each.

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::ids::{CallerKey, TeamId, UserId};
use shared::domain::ledger::entry::{Entry, Kind};

use crate::support::api::{Api, admin, billing, member, pipeline};

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
    // A pause that comes later does not stop work that already holds credits.
    let most = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": 84 });
    api.charge("t", "most", &most).await.ok();
    api.charge("t", "short again", &email()).await.problem(402, "/problems/insufficient-credits");
    assert_eq!(api.post(&pipeline(), charges, "lead 3", &capture).await.status, 201);
}

#[tokio::test]
async fn only_the_day_of_an_account_matters() {
    let api = Api::start().await;
    let body = |created: &str| json!({ "plan": "email_pro", "account_created_at": created });
    api.subscribe("t", &body("2024-02-01T10:00:00Z")).await;
    api.subscribe("t", &body("2024-02-01T10:00:00.250Z")).await;
    let other = api.put(&billing(), "/teams/t/subscription", &body("2024-02-02T10:00:00Z")).await;
    other.problem(400, "/problems/invalid-request");
}

#[tokio::test]
async fn a_plan_change_on_the_first_day_of_a_cycle_hides_no_usage() {
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
        // The relay keeps the statement of the cycle that ended.
        api.get("", "/dev/events").await.ok();
    }
    panic!("the usage before the change does not show");
}

#[tokio::test]
async fn the_replay_of_an_action_that_left_the_catalogue_is_answered() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let team: TeamId = "t".parse().unwrap();
    let (now, key) = (api.stack.app().clock.now(), "fax 1".parse().unwrap());
    let max: UserId = "max".parse().unwrap();
    let key = CallerKey::of_person(key, max.clone());
    let fax = Entry {
        credits: -3,
        action: Some("fax".to_owned()),
        quantity: Some(1),
        outcome: Some("sent".to_owned()),
        own_key: Some(false),
        price_version: Some("0".to_owned()),
        user: Some(max),
        ..Entry::of_key(&team, key, Kind::Charge, now)
    };
    api.stack.app().store.charge(&team, vec![fax], now).await;
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
    let run = api.send(Method::POST, "/dev/schedule", "", None, None).await.ok();
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
    api.settles("t").await;
}

/// A hold of a missed month returns credits after their cycle; they lapse when it does.
#[tokio::test]
async fn an_expiry_is_not_dated_before_the_credits_that_it_contains() {
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
        api.settles("t").await;
        api.send(Method::POST, "/dev/schedule", "", None, None).await.ok();
    }
}
