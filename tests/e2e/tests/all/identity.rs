//! Who may do what.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Api, admin, billing, member, pipeline, token};

const FORBIDDEN: (u16, &str) = (403, "/problems/forbidden");
const UNAUTHENTICATED: (u16, &str) = (401, "/problems/unauthenticated");

/// All routes of the functions, each with a body that would do.
pub fn routes() -> Vec<(Method, &'static str, Option<Value>)> {
    let charge = json!({ "action": "sms" });
    let batch = json!({ "charges": [{ "key": "b", "action": "sms" }] });
    let work = json!({ "leads": 1, "actions": ["sms"] });
    vec![
        (Method::POST, "/teams/t/charges", Some(charge)),
        (Method::POST, "/teams/t/charges/batch", Some(batch)),
        (Method::GET, "/teams/t/credits", None),
        (Method::GET, "/teams/t/history", None),
        (Method::POST, "/teams/t/estimates", Some(work)),
        (Method::GET, "/teams/t/usage", None),
        (Method::POST, "/teams/t/holds", Some(json!({ "credits": 5 }))),
        (Method::GET, "/teams/t/holds/h_1", None),
        (Method::POST, "/teams/t/holds/h_1/release", None),
        (Method::GET, "/team/credits", None),
        (Method::GET, "/prices", None),
        (Method::GET, "/plans", None),
        (Method::GET, "/purchase-options", None),
        (Method::GET, "/teams/t/purchases/p_1", None),
        (Method::POST, "/teams/t/purchases/p_1/refund", None),
        (Method::POST, "/teams/t/purchases", Some(json!({ "credits": 100 }))),
        (Method::POST, "/teams/t/gifts", Some(json!({ "credits": 100 }))),
        (Method::PUT, "/teams/t/subscription", Some(json!({ "plan": "email" }))),
        (Method::GET, "/teams/t/settings", None),
        (Method::PUT, "/teams/t/settings", Some(json!({ "low_balance_threshold": 10 }))),
        (Method::POST, "/teams/t/enrichment/restart", None),
        (Method::PUT, "/teams/t/monitored-accounts/acme", None),
        (Method::GET, "/teams/t/monitored-accounts", None),
        (Method::DELETE, "/teams/t/monitored-accounts/acme", None),
        (Method::DELETE, "/teams/t/subscription", None),
        (Method::DELETE, "/teams/t", None),
    ]
}

/// The status of every route for a caller; each key is used once.
async fn statuses(api: &Api, token: &str, key: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path, body) in routes() {
        let answer =
            api.send(method, path, token, Some(&format!("{key} {path}")), body.as_ref()).await;
        if answer.status == 403 {
            answer.problem(FORBIDDEN.0, FORBIDDEN.1);
        }
        statuses.push(answer.status);
    }
    statuses
}

#[tokio::test]
async fn every_route_for_every_caller() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    // In the order of the routes: use, holds, catalogues, purchases, choices, accounts, the end.
    let expected: [(String, [&[u16]; 7]); 5] = [
        (
            member("t"),
            [
                &[201, 200, 200, 200, 200, 200],
                &[201, 404, 404, 200],
                &[200, 200, 200, 404],
                &[403; 4],
                &[200, 403, 409],
                &[403, 200, 403],
                &[403; 2],
            ],
        ),
        (
            pipeline(),
            [
                &[201, 200, 200, 200, 200, 200],
                &[201, 404, 404, 403],
                &[200, 200, 200, 403],
                &[403; 4],
                &[200, 403, 403],
                &[403, 200, 403],
                &[403; 2],
            ],
        ),
        (
            admin("other"),
            [
                &[403; 6],
                &[403, 403, 403, 404],
                &[200, 200, 200, 403],
                &[403; 4],
                &[403; 3],
                &[403; 3],
                &[403; 2],
            ],
        ),
        (
            admin("t"),
            [
                &[201, 200, 200, 200, 200, 200],
                &[201, 404, 404, 200],
                &[200, 200, 200, 404],
                &[403, 201, 403, 403],
                &[200, 200, 409],
                &[200; 3],
                &[403; 2],
            ],
        ),
        (
            billing(),
            [
                &[403; 6],
                &[403; 4],
                &[200, 200, 200, 403],
                &[403, 403, 201, 200],
                &[200, 403, 403],
                &[200; 3],
                &[200; 2],
            ],
        ),
    ];
    for (number, (token, expected)) in expected.into_iter().enumerate() {
        let answered = statuses(&api, &token, &number.to_string()).await;
        assert_eq!(answered, expected.concat(), "caller {number}");
    }
}

#[tokio::test]
async fn without_claims_nothing_is_done() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let good = member("t");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for token in ["", "nonsense", &forged, &token(None, Some("t"), Some("admin"), None)] {
        for (method, path, body) in routes() {
            let answer = api.send(method, path, token, Some("k"), body.as_ref()).await;
            answer.problem(UNAUTHENTICATED.0, UNAUTHENTICATED.1);
        }
    }
    assert_eq!(api.split("t").await, (1_000, 0));
    assert_eq!(api.history("t").await.len(), 1);
}

#[tokio::test]
async fn claims_that_fit_nobody() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let body = json!({ "action": "sms" });
    for token in [
        token(Some("u"), Some("t"), Some("owner"), None),
        token(Some("u"), None, Some("admin"), None),
        token(Some("u"), Some("t"), Some("Admin"), Some("credits:charge credits:manage")),
        token(Some("m"), Some("t"), None, None),
        token(Some("m"), None, None, Some("credits:charger credits.charge")),
    ] {
        let refused = api.post(&token, "/teams/t/charges", "k", &body).await;
        refused.problem(FORBIDDEN.0, FORBIDDEN.1);
    }
    let both = token(Some("m"), None, None, Some("other credits:manage credits:charge"));
    assert_eq!(api.post(&both, "/teams/t/charges", "k", &body).await.status, 201);
    // A person's scope gives nothing to a person.
    let person = token(Some("u"), Some("t"), Some("admin"), Some("credits:manage"));
    api.delete(&person, "/teams/t").await.problem(FORBIDDEN.0, FORBIDDEN.1);
}

#[tokio::test]
async fn a_member_is_told_to_ask_an_admin() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let refused =
        api.post(&member("t"), "/teams/t/purchases", "k", &json!({ "credits": 100 })).await;
    let problem = refused.problem(FORBIDDEN.0, FORBIDDEN.1);
    assert!(problem["detail"].as_str().unwrap().contains("ask an admin"));
    assert_eq!(api.split("t").await, (1_000, 0));
}

#[tokio::test]
async fn only_a_machine_names_another_user() {
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
async fn the_stack_makes_tokens() {
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
