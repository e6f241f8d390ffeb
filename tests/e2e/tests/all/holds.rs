//! Holds: reserve, capture, release, expire.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::api::{Api, DAY, admin, billing, member, pipeline};

#[tokio::test]
async fn a_hold_is_captured_and_released() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let body = json!({ "credits": 500, "expires_in": 3_600, "reference": "job_9" });
    let first = api.hold("t", "job", &body).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.json()["hold"]["id"].as_str().unwrap().to_owned();
    let expected = json!({ "hold": {
        "id": id, "team": "t", "credits": 500, "captured": 0, "remaining": 500, "status": "open",
        "taken_at": "2027-01-31T10:00:00.000Z", "expires_at": "2027-01-31T11:00:00.000Z",
        "reference": "job_9",
    } });
    assert_eq!(first.json(), expected);
    assert_eq!(api.all_credits("t").await, (500, 0, 500));

    let captured = api.capture("t", &id, "lead 1").await;
    assert_eq!((captured.status, &captured.json()["charge"]["hold"]), (201, &json!(id)));
    assert!(api.capture("t", &id, "lead 1").await.is_replayed());
    assert_eq!(api.look("t", &id).await["remaining"], 495);
    assert_eq!(api.all_credits("t").await, (500, 0, 495), "a capture does not change the pool");
    api.assert_ledger_with_holds("t").await;

    let again = api.hold("t", "job", &body).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    let released = api.release("t", &id, "done").await;
    assert_eq!((released.status, released.is_replayed()), (200, false), "{released:?}");
    let hold = &released.json()["hold"];
    assert_eq!((&hold["status"], &hold["captured"]), (&json!("released"), &json!(5)));
    let again = api.release("t", &id, "done").await;
    assert_eq!((again.is_replayed(), again.json()), (true, released.json()));
    assert_eq!(api.all_credits("t").await, (995, 0, 0));
    api.assert_ledger_with_holds("t").await;
    let rows: Vec<_> = api
        .history("t")
        .await
        .iter()
        .map(|entry| (entry["kind"].clone(), entry["credits"].clone(), entry["held"].clone()))
        .collect();
    for row in [("hold", 0, json!(500)), ("capture", -5, json!(-5)), ("release", 0, json!(-495))] {
        assert!(rows.contains(&(json!(row.0), json!(row.1), row.2.clone())), "{row:?}: {rows:?}");
    }
}

#[tokio::test]
async fn lists_open_holds_newest_first() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let path = "/teams/t/holds";
    assert_eq!(api.get(&member("t"), path).await.ok(), json!({ "holds": [], "cursor": null }));
    let mut taken = Vec::new();
    for minute in 0..7 {
        api.travel(&format!("2027-01-31T10:0{minute}:00Z")).await;
        taken.push(api.held("t", 10 + minute, 600).await);
    }
    api.release("t", &taken[3], "done").await.ok();
    // The first hold has expired.
    api.travel("2027-01-31T10:10:00Z").await;
    let expected: Vec<&String> = [6, 5, 4, 2, 1].map(|number| &taken[number]).into();
    for limit in [1, 2, 5, 200] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = api.get(&member("t"), &format!("{path}?limit={limit}{cursor}")).await.ok();
            let holds = page["holds"].as_array().unwrap();
            assert!(holds.len() <= limit);
            found.extend(holds.iter().cloned());
            assert!(found.len() <= expected.len(), "a page repeats holds: {found:?}");
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let ids: Vec<&str> = found.iter().map(|hold| hold["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "by {limit}");
        assert_eq!(found[0], api.look("t", &taken[6]).await);
    }
    for (query, field) in [("limit=0", "limit"), ("limit=201", "limit"), ("cursor=x", "cursor")] {
        api.get(&member("t"), &format!("{path}?{query}")).await.problem_of(field);
    }
    api.get(&member("t"), &format!("{path}?status=open")).await.problem_of("status");
    api.get(&member("none"), "/teams/none/holds").await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn a_hold_is_sized_by_leads_and_actions() {
    let api = Api::start().await;
    api.team_with("t", 3_000).await;
    let work = json!({ "leads": 100, "actions": ["email_finder", "phone_finder"] });
    assert_eq!(api.hold("t", "job", &work).await.ok()["hold"]["credits"], 2_500);
    assert_eq!(
        api.hold("t", "one", &json!({ "actions": ["sms"] })).await.ok()["hold"]["credits"],
        6
    );
    let more = api.hold("t", "more", &work).await.problem(402, "/problems/insufficient-credits");
    assert_eq!((&more["balance"], &more["required"]), (&json!(494), &json!(2_500)));
    assert_eq!(api.all_credits("t").await, (494, 0, 2_506), "held credits are not available");
}

#[tokio::test]
async fn rejects_invalid_holds() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for body in [
        json!({}),
        json!({ "credits": 0 }),
        json!({ "credits": -5 }),
        json!({ "credits": 1.5 }),
        json!({ "credits": 1_000_000_001 }),
        json!({ "credits": 9_007_199_254_740_992_u64 }),
        json!({ "credits": 5, "actions": ["sms"] }),
        json!({ "leads": 5 }),
        json!({ "actions": [] }),
        json!({ "actions": ["wallet"] }),
        json!({ "leads": 0, "actions": ["sms"] }),
        json!({ "leads": 1_000_001, "actions": ["sms"] }),
        json!({ "credits": 5, "expires_in": 0 }),
        json!({ "credits": 5, "expires_in": 45 * DAY + 1 }),
        json!({ "credits": 5, "colour": "red" }),
    ] {
        api.hold("t", "k", &body).await.problem(400, "/problems/invalid-request");
    }
    let id = api.held("t", 5, 45 * DAY).await;
    let keyless = format!("/teams/t/holds/{id}/release");
    let keyless = api.send(Method::POST, &keyless, &pipeline(), None, None).await;
    keyless.problem(400, "/problems/invalid-request");
    api.release("t", "h_none", "k").await.problem(404, "/problems/not-found");
    api.capture("t", "h_none", "k").await.problem(404, "/problems/not-found");
    api.get(&pipeline(), "/teams/t/holds/h_none").await.problem(404, "/problems/not-found");
    api.hold("unknown", "k", &json!({ "credits": 5 })).await.problem(404, "/problems/not-found");
    for token in [member("other"), billing()] {
        let refused = api.post(&token, "/teams/t/holds", "k", &json!({ "credits": 5 })).await;
        refused.problem(403, "/problems/forbidden");
    }
    assert_eq!(api.all_credits("t").await, (995, 0, 5));
    let by_admin = api.post(&admin("t"), "/teams/t/holds", "own", &json!({ "credits": 5 })).await;
    assert_eq!(by_admin.status, 201);
    // A hold belongs to one team.
    api.team_with("t2", 10).await;
    api.capture("t2", &id, "k").await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn concurrent_captures_never_exceed_the_hold() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let id = api.held("t", 252, DAY).await;
    let keys: Vec<String> = (0..100).map(|n| format!("lead {n}")).collect();
    let answers = join_all(keys.iter().map(|key| api.capture("t", &id, key))).await;
    let captured = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(captured, 50);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        let problem = refused.problem(402, "/problems/insufficient-credits");
        assert_eq!((&problem["balance"], &problem["required"]), (&json!(2), &json!(5)));
    }
    assert_eq!(api.look("t", &id).await["captured"], 250);
    assert_eq!(api.all_credits("t").await, (748, 0, 2));
    api.assert_ledger_with_holds("t").await;
}

/// An expired hold captures nothing, and its credits return.
#[tokio::test]
async fn an_expired_hold_captures_nothing_and_returns_its_credits() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let id = api.held("t", 600, 60).await;
    api.capture("t", &id, "in time").await.ok();
    // From the instant of its expiry on, before its credits are returned.
    for late in ["2027-01-31T10:01:00Z", "2027-01-31T10:01:01Z"] {
        api.travel(late).await;
        api.capture("t", &id, "late").await.problem(409, "/problems/hold-closed");
    }
    api.release("t", &id, "late release").await.problem(409, "/problems/hold-closed");
    assert_eq!(api.look("t", &id).await["status"], "expired");
    assert!(api.capture("t", &id, "in time").await.is_replayed(), "a replay has no end");

    // The charge that needs the credits returns them.
    let big = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": 990 });
    api.charge("t", "big", &big).await.ok();
    assert_eq!(api.all_credits("t").await, (5, 0, 0));
    api.assert_ledger_with_holds("t").await;
    // The same charge may be made without the hold.
    let plain = json!({ "action": "email_finder", "outcome": "risky" });
    assert_eq!(api.charge("t", "late", &plain).await.status, 201);
}

#[tokio::test]
async fn the_schedule_returns_expired_holds() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for seconds in [60, 120, 7_200] {
        api.held("t", 100, seconds).await;
    }
    api.travel("2027-01-31T10:02:00Z").await;
    let run = api.run_upkeep().await;
    assert_eq!(
        run,
        json!({ "changed": 0, "expired": 2, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    let again = api.run_upkeep().await;
    assert_eq!(
        again,
        json!({ "changed": 0, "expired": 0, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    assert_eq!(api.all_credits("t").await, (900, 0, 100));
    api.assert_ledger_with_holds("t").await;
}

#[tokio::test]
async fn a_hold_is_released_once() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let id = api.held("t", 600, DAY).await;
    let keys: Vec<String> = (0..20).map(|n| format!("release {n}")).collect();
    let answers = join_all(keys.iter().map(|key| api.release("t", &id, key))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        let problem = refused.problem(409, "/problems/hold-closed");
        assert!(problem["detail"].as_str().unwrap().contains("is released"), "{problem}");
    }
    api.capture("t", &id, "after the release").await.problem(409, "/problems/hold-closed");
    assert_eq!(api.all_credits("t").await, (1_000, 0, 0));
    api.assert_ledger_with_holds("t").await;
}

/// Free credits return while their cycle runs; after its end only purchased credits do.
#[tokio::test]
async fn release_after_reset_returns_purchased_credits_only() {
    for (released_at, expected) in
        [("2027-02-27T00:00:00Z", (400, 100, 0)), ("2027-02-28T00:00:00Z", (400, 100, 0))]
    {
        let api = Api::start().await;
        api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
        api.buy("t", "order", 100).await.ok();
        let id = api.held("t", 450, 40 * DAY).await;
        assert_eq!(api.all_credits("t").await, (0, 50, 450));
        api.travel(released_at).await;
        api.release("t", &id, "release").await.ok();
        assert_eq!(api.all_credits("t").await, expected, "at {released_at}");
        api.assert_ledger_with_holds("t").await;
        api.travel("2027-02-28T00:00:00Z").await;
        assert_eq!(api.all_credits("t").await, (400, 100, 0));
        api.assert_ledger_with_holds("t").await;
    }
}

#[tokio::test]
async fn a_batch_may_mix_holds_and_the_pool() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let id = api.held("t", 30, DAY).await;
    let find = |key: &str, hold: Option<&str>| json!({ "key": key, "action": "phone_finder", "outcome": "valid", "hold": hold });
    let charges =
        [find("a", Some(&id)), find("b", None), find("c", Some(&id)), find("a", Some(&id))];
    let body = json!({ "charges": charges });
    let path = "/teams/t/charges/batch";
    let results = api.send(Method::POST, path, &pipeline(), None, Some(&body)).await.ok();
    let statuses: Vec<_> = (0..4).map(|n| results["results"][n]["status"].clone()).collect();
    assert_eq!(statuses, ["charged", "charged", "refused", "replayed"]);
    assert_eq!(results["results"][2]["problem"]["balance"], 10, "of the hold");
    assert_eq!(api.all_credits("t").await, (50, 0, 10));
    api.assert_ledger_with_holds("t").await;
}

/// A seat between the hold and the spending begins an epoch. Charges in it used a purchased credit
/// only because of the hold.
#[tokio::test]
async fn release_after_an_added_seat_returns_the_purchased_credits_owed() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 100).await.ok();
    let id = api.held("t", 30, 40 * DAY).await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 4 })).await;
    let most = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": 1_571 });
    api.charge("t", "most", &most).await.ok();
    assert_eq!(api.all_credits("t").await, (0, 99, 30));
    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!(api.all_credits("t").await, (200, 99, 30));
    api.release("t", &id, "release").await.ok();
    assert_eq!(api.all_credits("t").await, (200, 100, 0));
    api.assert_ledger_with_holds("t").await;
}
