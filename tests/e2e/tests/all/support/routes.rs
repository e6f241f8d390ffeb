//! Every route of the functions and every kind of caller.

use reqwest::Method;
use serde_json::{Value, json};

use super::api::token;

/// The kinds of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Member,
    Admin,
    Charge,
    Manage,
    Read,
}

use Caller::{Admin, Charge, Manage, Member, Read};

/// People of the team, and machine clients that charge.
const CHARGERS: &[Caller] = &[Member, Admin, Charge];

/// People of the team, and machine clients with any scope.
const READERS: &[Caller] = &[Member, Admin, Charge, Manage, Read];

/// A route of the functions with a valid body, and the callers to whom it is open. A refund is
/// refused to everyone, with another reason for persons of the team.
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    pub body: Option<Value>,
    pub callers: &'static [Caller],
    /// Whether the route needs no token.
    pub is_public: bool,
}

fn route(
    method: Method,
    path: &'static str,
    body: Option<Value>,
    callers: &'static [Caller],
) -> Route {
    Route { method, path, body, callers, is_public: false }
}

/// The route of Stripe's messages.
pub const WEBHOOK: &str = "/webhooks/stripe";

/// All routes of the functions.
pub fn routes() -> Vec<Route> {
    let charge = json!({ "action": "sms" });
    let batch = json!({ "charges": [{ "key": "b", "action": "sms" }] });
    let recorded = json!({ "credits": 10, "amount": { "cents": 9, "currency": "usd" } });
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
        route(Method::GET, "/teams/t/holds", None, READERS),
        route(Method::GET, "/teams/t/holds/h_1", None, READERS),
        route(Method::POST, "/teams/t/holds/h_1/release", None, CHARGERS),
        route(Method::GET, "/team/credits", None, &[Member, Admin]),
        public("/prices"),
        public("/plans"),
        public("/openapi.json"),
        public("/docs"),
        public("/problems/busy"),
        public("/health"),
        route(Method::GET, "/purchase-options", None, READERS),
        route(Method::GET, "/teams/t/purchases/p_1", None, READERS),
        route(Method::POST, "/teams/t/purchases/p_1/refund", None, &[]),
        route(Method::POST, "/teams/t/purchases", Some(json!({ "credits": 100 })), &[Admin]),
        route(Method::GET, "/teams/t/purchases", None, READERS),
        route(Method::POST, "/teams/t/purchases/recorded", Some(recorded), &[Manage]),
        route(Method::GET, "/teams/t/payment-method", None, &[Admin]),
        route(Method::POST, "/teams/t/payment-method", None, &[Admin]),
        // Open to Stripe only, which signs the body.
        Route { is_public: true, ..route(Method::POST, WEBHOOK, Some(json!({})), &[]) },
        route(Method::POST, "/teams/t/gifts", Some(json!({ "credits": 100 })), &[Manage]),
        route(Method::GET, "/teams/t/subscription", None, READERS),
        route(Method::PUT, "/teams/t/subscription", Some(json!({ "plan": "email" })), &[Manage]),
        route(Method::GET, "/teams/t/settings", None, READERS),
        route(
            Method::PUT,
            "/teams/t/settings",
            Some(json!({ "low_balance_threshold": 10, "auto_top_up": null })),
            &[Admin],
        ),
        route(
            Method::PATCH,
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

/// Tokens and the kind of caller that each makes; `None` is no caller of the team.
pub fn tokens() -> Vec<(&'static str, String, Option<Caller>)> {
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
