//! Whose key and whose hold it is: no caller occupies another caller's key or uses another's hold.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, billing, member, pipeline, token};

const CHARGES: &str = "/teams/t/charges";

fn other_member() -> String {
    token(Some("zoe"), Some("t"), Some("member"), None)
}

/// Named like a machine client, which shares no key with it.
fn namesake() -> String {
    token(Some("pipeline"), Some("t"), Some("member"), None)
}

fn sms() -> Value {
    json!({ "action": "sms" })
}

fn finder() -> Value {
    json!({ "action": "email_finder", "outcome": "risky" })
}

impl Api {
    async fn release_as(&self, token: &str, hold: &str, key: &str) -> Answer {
        let path = format!("/teams/t/holds/{hold}/release");
        self.send(Method::POST, &path, token, Some(key), None).await
    }

    async fn hold_as(&self, token: &str, key: &str) -> String {
        let hold = self.post(token, "/teams/t/holds", key, &json!({ "credits": 100 })).await.ok();
        hold["hold"]["id"].as_str().unwrap().to_owned()
    }

    async fn balance_and_length(&self) -> (Value, usize) {
        (self.balance("t").await, self.history("t").await.len())
    }
}

#[tokio::test]
async fn each_person_and_the_machine_clients_have_their_own_keys() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let callers = [member("t"), other_member(), admin("t"), namesake(), pipeline()];
    let mut ids = Vec::new();
    for (number, caller) in callers.iter().enumerate() {
        let body =
            json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": number + 1 });
        let charged = api.post(caller, CHARGES, "k", &body).await;
        assert_eq!(charged.status, 201, "{charged:?}");
        assert!(api.post(caller, CHARGES, "k", &body).await.is_replayed());
        let reused = api.post(caller, CHARGES, "k", &sms()).await;
        reused.problem(422, "/problems/idempotency-key-reused");
        ids.push(charged.json()["charge"]["id"].clone());
    }
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), callers.len(), "each has an entry");
    assert_eq!(api.split("t").await, (1_000 - 15, 0));
    // Other machine clients share the pipeline's keys: an operation is one request of one of them.
    let gift = api.post(&billing(), "/teams/t/gifts", "k", &json!({ "credits": 1 })).await;
    gift.problem(422, "/problems/idempotency-key-reused");
    let invoked = json!({ "team": "t", "key": "k", "action": "sms" }).to_string();
    let invoked = charge::charge_directly(api.stack.app(), invoked.as_bytes()).await.unwrap();
    let charge::Answer::Refused { problem } = invoked else { panic!("{invoked:?}") };
    assert_eq!(problem.status, 422);
    api.settles("t").await;
}

/// Whichever of them sends it, and by whichever way.
#[tokio::test]
async fn machine_clients_repeat_each_others_requests() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let second = token(Some("pipeline2"), None, None, Some("credits:charge credits:manage"));
    let first = api.post(&pipeline(), CHARGES, "k", &sms()).await.ok();
    let again = api.post(&second, CHARGES, "k", &sms()).await;
    assert_eq!((again.is_replayed(), again.json()), (true, first));
    let invoke = async |user: Option<&str>| {
        let charge = json!({ "team": "t", "key": "k", "action": "sms", "user": user });
        let answer = charge::charge_directly(api.stack.app(), charge.to_string().as_bytes()).await;
        serde_json::to_value(answer.unwrap()).unwrap()
    };
    assert_eq!(invoke(None).await["status"], "replayed");
    assert_eq!(invoke(Some("pipeline")).await["status"], "replayed");
    assert_eq!(invoke(Some("max")).await["problem"]["status"], 422, "for another user");
    let hold = json!({ "credits": 5 });
    let taken = api.post(&pipeline(), "/teams/t/holds", "h", &hold).await.ok();
    assert!(api.post(&second, "/teams/t/holds", "h", &hold).await.is_replayed());
    let id = taken["hold"]["id"].as_str().unwrap();
    api.release_as(&pipeline(), id, "r").await.ok();
    assert!(api.release_as(&second, id, "r").await.is_replayed());
    let gift = json!({ "credits": 1 });
    api.post(&billing(), "/teams/t/gifts", "g", &gift).await.ok();
    assert!(api.post(&second, "/teams/t/gifts", "g", &gift).await.is_replayed());
}

#[tokio::test]
async fn keys_of_batches_holds_releases_and_purchases_are_their_callers_too() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    // A member takes all the keys that the pipeline is going to use.
    let all = json!({ "charges": [
        { "key": "batch", "action": "sms" }, { "key": "hold", "action": "sms" },
        { "key": "release", "action": "sms" }, { "key": "order", "action": "sms" },
        { "key": "gift", "action": "sms" },
    ] });
    let taken = api.post(&member("t"), "/teams/t/charges/batch", "", &all).await.ok();
    assert!(taken["results"].as_array().unwrap().iter().all(|it| it["status"] == "charged"));
    let one =
        json!({ "charges": [{ "key": "batch", "action": "email_finder", "outcome": "risky" }] });
    let batch = api.post(&pipeline(), "/teams/t/charges/batch", "", &one).await.ok();
    assert_eq!(batch["results"][0]["status"], "charged");
    let hold = api.hold_as(&pipeline(), "hold").await;
    assert_ne!(hold, api.hold_as(&admin("t"), "hold").await, "the ids of holds differ as well");
    api.release_as(&pipeline(), &hold, "release").await.ok();
    let bought = api.buy("t", "order", 100).await;
    assert_eq!(bought.status, 201, "{bought:?}");
    let other_admin = token(Some("eve"), Some("t"), Some("admin"), None);
    let again =
        api.post(&other_admin, "/teams/t/purchases", "order", &json!({ "credits": 200 })).await;
    assert_eq!(again.status, 201, "{again:?}");
    assert_ne!(again.json()["purchase"]["id"], bought.json()["purchase"]["id"]);
    let gift = api.post(&billing(), "/teams/t/gifts", "gift", &json!({ "credits": 7 })).await;
    assert_eq!(gift.status, 201, "{gift:?}");
}

#[tokio::test]
async fn a_hold_is_used_by_its_owner() {
    let api = Api::start().await;
    api.team_with("t", 5_000).await;
    let callers = [
        ("pipeline", pipeline()),
        ("namesake", namesake()),
        ("max", member("t")),
        ("zoe", other_member()),
        ("ada", admin("t")),
    ];
    let may = |owner: &str, caller: &str| {
        caller == "pipeline" || (owner != "pipeline" && (caller == owner || caller == "ada"))
    };
    for (owner, owners) in &callers {
        for (caller, token) in &callers {
            let hold = api.hold_as(owners, &format!("{owner} {caller}")).await;
            let key = |what: &str| format!("{what} {owner}");
            let captured = json!({ "action": "sms", "hold": hold });
            let batch = json!({ "charges": [
                { "key": key("batch"), "action": "sms", "hold": hold },
                { "key": key("plain"), "action": "sms" },
            ] });
            let before = api.balance_and_length().await;
            let capture = api.post(token, CHARGES, &key("capture"), &captured).await;
            let release = api.release_as(token, &hold, &key("release")).await;
            if may(owner, caller) {
                assert_eq!((capture.status, release.status), (201, 200), "{owner} {caller}");
                assert!(api.release_as(token, &hold, &key("release")).await.is_replayed());
                continue;
            }
            capture.problem(403, "/problems/forbidden");
            release.problem(403, "/problems/forbidden");
            api.release_as(token, &hold, "").await.problem(403, "/problems/forbidden");
            let unknown = json!({ "action": "fax", "hold": hold });
            api.post(token, CHARGES, "k", &unknown).await.problem(403, "/problems/forbidden");
            let keyless = api.send(Method::POST, CHARGES, token, None, Some(&captured)).await;
            keyless.problem(403, "/problems/forbidden");
            assert_eq!(api.balance_and_length().await, before, "{owner} {caller}");
            let batch = api.post(token, "/teams/t/charges/batch", "", &batch).await.ok();
            assert_eq!(batch["results"][0]["problem"]["status"], 403, "{owner} {caller}: {batch}");
            assert_eq!(batch["results"][1]["status"], "charged", "{owner} {caller}: {batch}");
        }
    }
    api.adds_up("t").await;
}

#[tokio::test]
async fn an_unknown_hold_is_not_found_after_what_is_invalid() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let entry = api.charge("t", "k", &sms()).await.ok()["charge"]["id"].clone();
    let of_entry = entry.as_str().unwrap().replace("e_", "h_");
    for (hold, token) in [("h_none", member("t")), (&of_entry, member("t")), ("h_none", pipeline())]
    {
        let unknown = json!({ "action": "sms", "hold": hold });
        api.post(&token, CHARGES, "a", &unknown).await.problem(404, "/problems/not-found");
        api.release_as(&token, hold, "a").await.problem(404, "/problems/not-found");
        let invalid = json!({ "action": "fax", "hold": hold });
        api.post(&token, CHARGES, "a", &invalid).await.problem(400, "/problems/invalid-request");
        let path = format!("/teams/t/holds/{hold}/release");
        let keyless = api.send(Method::POST, &path, &token, None, None).await;
        keyless.problem(400, "/problems/invalid-request");
    }
    // The key is still free.
    assert_eq!(api.charge("t", "a", &finder()).await.status, 201);
}
