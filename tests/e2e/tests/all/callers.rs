//! Callers: their access to each route, their keys and their holds.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local::{AUDIENCE, ISSUER, SECRET};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, billing, member, pipeline, token};
use crate::support::gateway::{Event, function_of};
use crate::support::routes::{Caller, Route, WEBHOOK, routes, tokens};

const FORBIDDEN: (u16, &str) = (403, "/problems/forbidden");
const UNAUTHENTICATED: (u16, &str) = (401, "/problems/unauthenticated");

/// Whether a route is open to a token.
fn is_open(route: &Route, name: &str, who: Option<Caller>) -> bool {
    let Route { path, callers, is_public, .. } = route;
    // These routes need a valid token only.
    let needs_no_team = match *path {
        "/team/credits" => name.contains("another team"),
        "/purchase-options" => name.contains("another") || name == "no scope",
        _ => false,
    };
    *is_public || needs_no_team || who.is_some_and(|who| callers.contains(&who))
}

/// Sends each request over HTTP, and as an API Gateway event to the function.
#[tokio::test]
async fn each_route_is_open_to_its_callers_only() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (number, route) in routes().into_iter().enumerate() {
        let Route { method, path, body, .. } = &route;
        let function = function_of(path);
        for (name, token, who) in tokens() {
            let key = format!("{number} {name}");
            let answer = api.send(method.clone(), path, &token, Some(&key), body.as_ref()).await;
            let event = Event::new(method, path, Some(&token)).with_key(&key);
            let event = body.iter().fold(event, Event::with_body);
            for answer in [answer, api.request(&function, &event).await] {
                if is_open(&route, name, who) {
                    let status = answer.status;
                    assert!(![401, 403].contains(&status), "{method} {path} {name}: {answer:?}");
                } else {
                    answer.problem(FORBIDDEN.0, FORBIDDEN.1);
                }
            }
        }
    }
}

/// Tokens that are rejected, each for one reason.
fn unusable_tokens() -> Vec<(&'static str, String)> {
    let now = Timestamp::now().as_second();
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600,
            "sub": "u", "team": "t", "role": "admin",
        });
        change(&mut claims);
        claims
    };
    let set = |name: &'static str, value: Value| {
        claims(&|claims: &mut Value| claims[name] = value.clone())
    };
    let signed = |algorithm, claims: &Value, key| {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let ours = |claims: &Value| signed(Algorithm::HS256, claims, SECRET);
    let good = ours(&claims(&|_| {}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let payload = head.split('.').nth(1).unwrap();
    let long = "s".repeat(256);
    let machine = |sub| token(sub, None, None, Some("credits:charge credits:manage"));
    vec![
        ("none", String::new()),
        ("nonsense", "nonsense".to_owned()),
        ("expired", ours(&set("exp", json!(now - 600)))),
        ("not yet valid", ours(&set("nbf", json!(now + 600)))),
        ("another issuer", ours(&set("iss", json!("https://another.invalid")))),
        ("another audience", ours(&set("aud", json!("another")))),
        ("another key", signed(Algorithm::HS256, &claims(&|_| {}), b"another key")),
        ("another algorithm", signed(Algorithm::HS512, &claims(&|_| {}), SECRET)),
        // {"alg":"none"} and {"alg":"None"}
        ("no algorithm", format!("eyJhbGciOiJub25lIn0.{payload}.")),
        ("no algorithm in another case", format!("eyJhbGciOiJOb25lIn0.{payload}.")),
        ("no signature", format!("{head}.")),
        ("forged", format!("{head}.{}", signature.chars().rev().collect::<String>())),
        ("no sub", machine(None)),
        ("an empty sub", machine(Some(""))),
        ("a long sub", machine(Some(&long))),
        ("a sub beyond ASCII", machine(Some("\u{e9}"))),
    ]
}

#[tokio::test]
async fn rejects_requests_without_valid_claims() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for route in routes() {
        let Route { method, path, body, is_public, .. } = &route;
        // The authorizer passes on no claims, or claims without a usable `sub`.
        let events = unusable_tokens().into_iter().filter(|(name, _)| name.contains("sub"));
        let tokens = events.map(|(_, token)| Some(token)).chain([None]);
        for (name, token) in unusable_tokens() {
            let answer = api.send(method.clone(), path, &token, Some("k"), body.as_ref()).await;
            refuses_unauthenticated(&answer, *is_public, &format!("{path} {name}"));
        }
        for token in tokens {
            let event = Event::new(method, path, token.as_deref()).with_key("k");
            let event = body.iter().fold(event, Event::with_body);
            let answer = api.request(&function_of(path), &event).await;
            refuses_unauthenticated(&answer, *is_public, path);
        }
    }
    assert_eq!(api.split("t").await, (1_000, 0));
    assert_eq!(api.history("t").await.len(), 1);
}

#[track_caller]
fn refuses_unauthenticated(answer: &Answer, is_public: bool, what: &str) {
    if what.starts_with(WEBHOOK) {
        answer.problem_of("Stripe-Signature");
    } else if is_public {
        assert!(answer.status < 400, "{what}: {answer:?}");
    } else {
        answer.problem(UNAUTHENTICATED.0, UNAUTHENTICATED.1);
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
    }
}

/// An unknown query parameter is refused, after the caller's access is checked.
#[tokio::test]
async fn rejects_an_unknown_query_parameter_on_every_route() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let before = (api.balance("t").await, api.history("t").await);
    for Route { method, path, body, callers, .. } in routes() {
        let who = callers.first();
        let token =
            tokens().into_iter().find(|(_, _, it)| it.as_ref() == who.or(Some(&Caller::Member)));
        let token = token.unwrap().1;
        let sign = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{sign}colour=red");
        let send = |token: String| {
            let (method, path, body) = (method.clone(), path.clone(), body.clone());
            let api = &api;
            async move { api.send(method, &path, &token, Some("k"), body.as_ref()).await }
        };
        send(token).await.problem(400, "/problems/invalid-request");
        if path.starts_with("/teams/t") {
            send(admin("other")).await.problem(FORBIDDEN.0, FORBIDDEN.1);
        }
    }
    assert_eq!((api.balance("t").await, api.history("t").await), before);
}

/// Data of a team is not cached; the catalogue and the contract may be.
#[tokio::test]
async fn only_the_catalogue_and_the_contract_are_cached() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let cacheable = ["/prices", "/plans", "/openapi.json", "/docs"];
    for Route { method, path, body, .. } in routes() {
        let answer = api.send(method, path, &admin("t"), Some("k"), body.as_ref()).await;
        let expected = if cacheable.contains(&path) { "public, max-age=300" } else { "no-store" };
        assert_eq!(answer.headers["cache-control"], expected, "{path}");
    }
    assert_eq!(api.get("", "/prices?at=2020-01-01").await.status, 200);
    api.get("", "/prices?at=yesterday").await.problem(400, "/problems/invalid-request");
}

#[tokio::test]
async fn a_refused_member_is_referred_to_an_admin() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let refused =
        api.post(&member("t"), "/teams/t/purchases", "k", &json!({ "credits": 100 })).await;
    let problem = refused.problem(FORBIDDEN.0, FORBIDDEN.1);
    assert!(problem["detail"].as_str().unwrap().contains("ask an admin"));
    assert_eq!(api.split("t").await, (1_000, 0));
}

#[tokio::test]
async fn only_a_machine_client_names_another_user() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let path = "/teams/t/charges";
    let other = json!({ "action": "sms", "user": "u_7" });
    api.post(&member("t"), path, "k", &other).await.problem(FORBIDDEN.0, FORBIDDEN.1);
    api.post(&admin("t"), path, "k", &other).await.problem(FORBIDDEN.0, FORBIDDEN.1);
    let own = json!({ "action": "sms", "user": "max" });
    assert_eq!(api.post(&member("t"), path, "own", &own).await.ok()["charge"]["user"], "max");
    assert_eq!(api.post(&pipeline(), path, "k", &other).await.ok()["charge"]["user"], "u_7");
}

#[tokio::test]
async fn the_local_stack_issues_tokens() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let claims = json!({ "sub": "u", "team": "t", "role": "member" });
    let made = api.send(Method::POST, "/dev/tokens", "", None, Some(&claims)).await.ok();
    let token = made["token"].as_str().unwrap();
    assert_eq!(api.get(token, "/teams/t/credits").await.status, 200);
    let wrong = json!({ "sub": "u", "admin": true });
    let refused = api.send(Method::POST, "/dev/tokens", "", None, Some(&wrong)).await;
    refused.problem(400, "/problems/invalid-request");
}

const CHARGES: &str = "/teams/t/charges";

fn other_member() -> String {
    token(Some("zoe"), Some("t"), Some("member"), None)
}

/// A person whose name equals that of a machine client.
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
    // Machine clients share their keys: a key identifies one request of any of them.
    let gift = api.post(&billing(), "/teams/t/gifts", "k", &json!({ "credits": 1 })).await;
    gift.problem(422, "/problems/idempotency-key-reused");
    let invoked = json!({ "team": "t", "key": "k", "action": "sms" }).to_string();
    let invoked = charge::charge_directly(api.stack.app(), invoked.as_bytes()).await.unwrap();
    let charge::Answer::Refused { problem } = invoked else { panic!("{invoked:?}") };
    assert_eq!(problem.status, 422);
    api.assert_ledger("t").await;
}

/// Machine clients replay each other's requests, over HTTP and by direct invocation.
#[tokio::test]
async fn machine_clients_replay_each_others_requests() {
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
    assert_eq!(invoke(Some("max")).await["problem"]["status"], 422, "a charge for another user");
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
async fn keys_of_batches_holds_releases_and_purchases_are_separate_by_caller() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    // A member uses all the keys that the pipeline uses later.
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
async fn only_its_owner_uses_a_hold() {
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
    api.assert_ledger_with_holds("t").await;
}

#[tokio::test]
async fn validates_a_charge_before_it_looks_up_the_hold() {
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
    // A refused request leaves its key free.
    assert_eq!(api.charge("t", "a", &finder()).await.status, 201);
}
