//! Who may do what.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local::{AUDIENCE, ISSUER, SECRET};
use reqwest::Method;
use serde_json::{Value, json};

use crate::gateway::{Event, function_of};
use crate::support::api::{Answer, Api, admin, member, pipeline, token};

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
    pub body: Option<Value>,
    pub callers: &'static [Who],
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
pub fn tokens() -> Vec<(&'static str, String, Option<Who>)> {
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

/// Whether a route is open to the bearer of a token.
fn is_open(route: &Route, name: &str, who: Option<Who>) -> bool {
    let Route { path, callers, is_public, .. } = route;
    // A valid token of another team, or with no scope that is known, is enough here.
    let needs_no_team = match *path {
        "/team/credits" => name.contains("another team"),
        "/purchase-options" => name.contains("another") || name == "no scope",
        _ => false,
    };
    *is_public || needs_no_team || who.is_some_and(|who| callers.contains(&who))
}

/// Over HTTP, and by API Gateway's events at the functions' entry points.
#[tokio::test]
async fn every_route_for_every_caller() {
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

/// Tokens that are not accepted, each for one reason.
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
async fn without_claims_nothing_is_done() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    for route in routes() {
        let Route { method, path, body, is_public, .. } = &route;
        // The authorizer passes no claims on, or claims without a usable `sub`.
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
    if is_public {
        answer.ok();
    } else {
        answer.problem(UNAUTHENTICATED.0, UNAUTHENTICATED.1);
        assert_eq!(answer.headers["www-authenticate"], "Bearer", "{what}");
    }
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
