//! Who may do what.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{Api, admin, member, pipeline, token};

const FORBIDDEN: (u16, &str) = (403, "/problems/forbidden");
const UNAUTHENTICATED: (u16, &str) = (401, "/problems/unauthenticated");

/// Callers that a route may be open to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Member,
    Admin,
    Charge,
    Manage,
    Read,
}

use Who::{Admin, Charge, Manage, Member, Read};

/// People of the team, and machine clients that charge.
const CHARGERS: &[Who] = &[Member, Admin, Charge];

/// People of the team, and machine clients with any scope.
const READERS: &[Who] = &[Member, Admin, Charge, Manage, Read];

/// A route of the functions, with a body that would do, and the callers it is open to. A refund is
/// refused to all, with another reason for people of the team.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    body: Option<Value>,
    callers: &'static [Who],
    /// Whether it needs no token.
    is_public: bool,
}

fn route(
    method: Method,
    path: &'static str,
    body: Option<Value>,
    callers: &'static [Who],
) -> Route {
    Route { method, path, body, callers, is_public: false }
}

/// All routes of the functions.
pub fn routes() -> Vec<Route> {
    let charge = json!({ "action": "sms" });
    let batch = json!({ "charges": [{ "key": "b", "action": "sms" }] });
    let work = json!({ "leads": 1, "actions": ["sms"] });
    let public = |path| Route { is_public: true, ..route(Method::GET, path, None, READERS) };
    vec![
        route(Method::POST, "/teams/t/charges", Some(charge), CHARGERS),
        route(Method::POST, "/teams/t/charges/batch", Some(batch), CHARGERS),
        route(Method::GET, "/teams/t/credits", None, READERS),
        route(Method::GET, "/teams/t/history", None, READERS),
        route(Method::POST, "/teams/t/estimates", Some(work), READERS),
        route(Method::GET, "/teams/t/usage", None, READERS),
        route(Method::POST, "/teams/t/holds", Some(json!({ "credits": 5 })), CHARGERS),
        route(Method::GET, "/teams/t/holds/h_1", None, READERS),
        route(Method::POST, "/teams/t/holds/h_1/release", None, CHARGERS),
        route(Method::GET, "/team/credits", None, &[Member, Admin]),
        public("/prices"),
        public("/plans"),
        route(Method::GET, "/purchase-options", None, READERS),
        route(Method::GET, "/teams/t/purchases/p_1", None, READERS),
        route(Method::POST, "/teams/t/purchases/p_1/refund", None, &[]),
        route(Method::POST, "/teams/t/purchases", Some(json!({ "credits": 100 })), &[Admin]),
        route(Method::POST, "/teams/t/gifts", Some(json!({ "credits": 100 })), &[Manage]),
        route(Method::GET, "/teams/t/subscription", None, READERS),
        route(Method::PUT, "/teams/t/subscription", Some(json!({ "plan": "email" })), &[Manage]),
        route(Method::GET, "/teams/t/settings", None, READERS),
        route(
            Method::PUT,
            "/teams/t/settings",
            Some(json!({ "low_balance_threshold": 10 })),
            &[Admin],
        ),
        route(Method::POST, "/teams/t/enrichment/restart", None, &[Member, Admin, Charge, Manage]),
        route(Method::PUT, "/teams/t/monitored-accounts/acme", None, &[Admin, Manage]),
        route(Method::GET, "/teams/t/monitored-accounts", None, READERS),
        route(Method::DELETE, "/teams/t/monitored-accounts/acme", None, &[Admin, Manage]),
        route(Method::DELETE, "/teams/t/subscription", None, &[Manage]),
        route(Method::DELETE, "/teams/t?confirm=t", None, &[Manage]),
    ]
}

/// Tokens, and the caller of the team that each makes; `None` makes nobody of this team.
fn tokens() -> Vec<(&'static str, String, Option<Who>)> {
    let all = Some("credits:charge credits:manage credits:read");
    let person = |team, role, scope| token(Some("u"), team, role, scope);
    let machine = |scope| token(Some("m"), None, None, Some(scope));
    vec![
        ("member", person(Some("t"), Some("member"), None), Some(Member)),
        ("admin", person(Some("t"), Some("admin"), None), Some(Admin)),
        ("member with scopes", person(Some("t"), Some("member"), all), Some(Member)),
        ("member of another team", person(Some("o"), Some("member"), all), None),
        ("admin of another team", person(Some("o"), Some("admin"), all), None),
        ("charge", machine("openid credits:charge"), Some(Charge)),
        ("manage", machine("credits:manage"), Some(Manage)),
        ("read", machine("credits:read"), Some(Read)),
        ("another scope", machine("credits:reads credits.charge CREDITS:MANAGE"), None),
        ("no scope", token(Some("m"), None, None, None), None),
        ("team without role", person(Some("t"), None, all), None),
        ("role without team", person(None, Some("admin"), all), None),
        ("odd role", person(Some("t"), Some("Admin"), all), None),
        ("empty role", person(Some("t"), Some(""), all), None),
        ("empty team", person(Some(""), Some("admin"), all), None),
        ("odd team", person(Some("t t"), Some("admin"), all), None),
    ]
}

#[tokio::test]
async fn every_route_for_every_caller() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for (number, route) in routes().into_iter().enumerate() {
        for (name, token, who) in tokens() {
            let key = Some(format!("{number} {name}"));
            let Route { method, path, body, callers, is_public } = &route;
            let answer =
                api.send(method.clone(), path, &token, key.as_deref(), body.as_ref()).await;
            let is_open = *is_public
                || who.is_some_and(|who| callers.contains(&who))
                // A valid token of another team, or with no scope that is known, is enough here.
                || (*path == "/team/credits" && name.contains("another team"))
                || (*path == "/purchase-options" && name.contains("another"))
                || (*path == "/purchase-options" && name == "no scope");
            if is_open {
                assert!(![401, 403].contains(&answer.status), "{method} {path} {name}: {answer:?}");
            } else {
                answer.problem(FORBIDDEN.0, FORBIDDEN.1);
            }
        }
    }
}

#[tokio::test]
async fn without_claims_nothing_is_done() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let good = member("t");
    let (head, signature) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let long = "s".repeat(256);
    let unusable = [None, Some(""), Some(&*long), Some("\u{e9}")]
        .map(|sub| token(sub, None, None, Some("credits:charge credits:manage")));
    for token in ["", "nonsense", &forged].into_iter().chain(unusable.iter().map(String::as_str)) {
        for Route { method, path, body, is_public, .. } in routes() {
            let answer = api.send(method, path, token, Some("k"), body.as_ref()).await;
            if is_public {
                answer.ok();
            } else {
                answer.problem(UNAUTHENTICATED.0, UNAUTHENTICATED.1);
                assert_eq!(answer.headers["www-authenticate"], "Bearer", "{path}");
            }
        }
    }
    assert_eq!(api.split("t").await, (1_000, 0));
    assert_eq!(api.history("t").await.len(), 1);
}

/// A query parameter that a route does not have is refused, after the caller was checked.
#[tokio::test]
async fn every_route_refuses_an_unknown_parameter() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let before = (api.balance("t").await, api.history("t").await);
    for Route { method, path, body, callers, .. } in routes() {
        let who = callers.first();
        let token = tokens().into_iter().find(|(_, _, it)| it.as_ref() == who.or(Some(&Member)));
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

/// What a team has is stored in no cache; the catalogue may be.
#[tokio::test]
async fn only_the_catalogue_is_cached() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for Route { method, path, body, is_public, .. } in routes() {
        let answer = api.send(method, path, &admin("t"), Some("k"), body.as_ref()).await;
        let expected = if is_public { "public, max-age=300" } else { "no-store" };
        assert_eq!(answer.headers["cache-control"], expected, "{path}");
    }
    assert_eq!(api.get("", "/prices?at=2020-01-01").await.status, 200);
    api.get("", "/prices?at=yesterday").await.problem(400, "/problems/invalid-request");
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
