//! Invalid requests are refused with the field at fault, and change nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, answer, billing, member, pipeline};
use crate::support::routes::routes;

const INVALID: (u16, &str) = (400, "/problems/invalid-request");

async fn raw(
    api: &Api,
    method: Method,
    path: &str,
    token: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let request = api
        .http
        .request(method, format!("{}{path}", api.stack.url()))
        .bearer_auth(token)
        .header("idempotency-key", "bad")
        .header("content-type", "application/json")
        .body(body);
    answer(request).await
}

/// Opens a team. Returns its balance and history.
async fn team(api: &Api) -> (Value, Vec<Value>) {
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    (api.balance("t").await, api.history("t").await)
}

async fn state(api: &Api) -> (Value, Vec<Value>) {
    (api.balance("t").await, api.history("t").await)
}

/// Bodies of charges, and the field at fault of each.
const INVALID_CHARGES: &[(&str, &str)] = &[
    (r"", "body"),
    (r"{", "body"),
    (r"[]", "body"),
    (r#"[null,null,"sms",1,null,null,null,false,null]"#, "body"),
    (r"null", "body"),
    (r#""sms""#, "body"),
    (r#"{"action":"sms"} {}"#, "body"),
    (r#"{"action":"sms","quantity":NaN}"#, "quantity"),
    (r#"{"action":"sms","quantity":Infinity}"#, "quantity"),
    (r#"{"action":"sms","quantity":1.5}"#, "quantity"),
    (r#"{"action":"sms","quantity":1.0}"#, "quantity"),
    (r#"{"action":"sms","quantity":1e3}"#, "quantity"),
    (r#"{"action":"sms","quantity":-1}"#, "quantity"),
    (r#"{"action":"sms","quantity":0}"#, "quantity"),
    (r#"{"action":"sms","quantity":1000001}"#, "quantity"),
    (r#"{"action":"sms","quantity":18446744073709551615}"#, "quantity"),
    (r#"{"action":"sms","quantity":18446744073709551616}"#, "quantity"),
    (r#"{"action":"sms","quantity":"1"}"#, "quantity"),
    (r#"{"action":"sms","quantity":null}"#, "quantity"),
    (r#"{"action":"sms","quantity":[1]}"#, "quantity"),
    (r#"{"action":"sms","quantity":true}"#, "quantity"),
    (r#"{"quantity":1}"#, "action"),
    (r#"{"action":null}"#, "action"),
    (r#"{"action":""}"#, "action"),
    (r#"{"action":"SMS"}"#, "action"),
    (r#"{"action":"wallet"}"#, "action"),
    (r#"{"action":"email_finder"}"#, "outcome"),
    (r#"{"action":"email_finder","outcome":"found"}"#, "outcome"),
    (r#"{"action":"email_finder","outcome":7}"#, "outcome"),
    (r#"{"action":"sms","action":"call"}"#, "action"),
    (r#"{"action":"sms","quantity":1,"quantity":1}"#, "quantity"),
    (r#"{"action":"sms","price":0}"#, "price"),
    (r#"{"action":"sms","credits":-5}"#, "credits"),
    (r#"{"action":"sms","team":"t"}"#, "team"),
    (r#"{"action":"sms","key":"k"}"#, "key"),
    (r#"{"action":"sms","own_key":"yes"}"#, "own_key"),
    (r#"{"action":"sms","own_key":true}"#, "own_key"),
    (r#"{"action":"sms","user":""}"#, "user"),
    (r#"{"action":"sms","user":7}"#, "user"),
    (r#"{"action":"sms","reference":""}"#, "reference"),
    (r#"{"action":"sms","hold":"no hold!"}"#, "hold"),
    ("{\"action\":\"sms\",\"reference\":\"a\\u0000b\"}", "reference"),
];

#[tokio::test]
async fn rejects_invalid_charges() {
    let api = Api::start().await;
    let before = team(&api).await;
    let text = "x".repeat(256);
    let long: [(&str, &str); 3] = [
        (&format!(r#"{{"action":"sms","reference":"{text}"}}"#), "reference"),
        (&format!(r#"{{"action":"sms","user":"{text}"}}"#), "user"),
        (&"[".repeat(100_000), "body"),
    ];
    for (body, field) in INVALID_CHARGES.iter().chain(&long).copied() {
        let shown = &body[..body.len().min(80)];
        let refused =
            raw(&api, Method::POST, "/teams/t/charges", &pipeline(), body.to_owned()).await;
        assert_eq!(refused.status, 400, "{shown}: {refused:?}");
        let problem = refused.problem(INVALID.0, INVALID.1);
        let named = problem["errors"][0]["field"].as_str().unwrap().to_owned();
        assert!(named == field || named == "body", "{shown}: {problem}");
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().is_empty());
    }
    let not_utf8 =
        raw(&api, Method::POST, "/teams/t/charges", &pipeline(), vec![b'"', 0xff, b'"']).await;
    not_utf8.problem(INVALID.0, INVALID.1);
    assert_eq!(state(&api).await, before);
}

#[tokio::test]
async fn rejects_invalid_batches() {
    let api = Api::start().await;
    let before = team(&api).await;
    for body in [
        r"{}",
        r#"{"charges":[]}"#,
        r#"{"charges":{}}"#,
        r#"{"charges":null}"#,
        r#"{"charges":[{"key":"k","action":"sms"}],"team":"t"}"#,
        r#"{"charges":[{"key":"k","action":"sms"}],"charges":[]}"#,
        r#"[{"key":"k","action":"sms"}]"#,
    ] {
        let refused = raw(&api, Method::POST, "/teams/t/charges/batch", &pipeline(), body).await;
        refused.problem(INVALID.0, INVALID.1);
    }
    // An invalid charge is refused on its own.
    let long = "x".repeat(256);
    for (charge, field) in [
        (r#"{"action":"sms"}"#, "key"),
        (r#"{"key":"","action":"sms"}"#, "key"),
        (&format!(r#"{{"key":"{long}","action":"sms"}}"#), "key"),
        (r#"{"key":7,"action":"sms"}"#, "key"),
        (r#"{"key":"k","action":"sms","quantity":1.5}"#, "quantity"),
        (r#"{"key":"k","action":"sms","colour":"red"}"#, "colour"),
        (r#"{"key":"k","key":"k2","action":"sms"}"#, "key"),
        (r#"{"key":"k","team":"t2","action":"sms"}"#, "team"),
        ("7", "body"),
    ] {
        let body = format!(r#"{{"charges":[{charge}]}}"#);
        let results =
            raw(&api, Method::POST, "/teams/t/charges/batch", &pipeline(), body).await.ok();
        let result = &results["results"][0];
        assert_eq!(result["status"], "refused", "{charge}");
        assert_eq!(result["problem"]["type"], INVALID.1, "{charge}");
        let named = result["problem"]["errors"][0]["field"].as_str().unwrap().to_owned();
        let field = format!("charges[0].{field}");
        assert!(named == field || named == "charges[0]", "{charge}: {result}");
    }
    assert_eq!(state(&api).await, before);
}

#[tokio::test]
async fn rejects_invalid_estimates() {
    let api = Api::start().await;
    let before = team(&api).await;
    for (body, field) in [
        ("", "body"),
        ("[]", "body"),
        ("{}", "leads"),
        (r#"{"leads":1}"#, "actions"),
        (r#"{"actions":["sms"]}"#, "leads"),
        (r#"{"leads":0,"actions":["sms"]}"#, "leads"),
        (r#"{"leads":-1,"actions":["sms"]}"#, "leads"),
        (r#"{"leads":1.5,"actions":["sms"]}"#, "leads"),
        (r#"{"leads":"1","actions":["sms"]}"#, "leads"),
        (r#"{"leads":1000001,"actions":["sms"]}"#, "leads"),
        (r#"{"leads":1,"leads":1,"actions":["sms"]}"#, "leads"),
        (r#"{"leads":1,"actions":[]}"#, "actions"),
        (r#"{"leads":1,"actions":"sms"}"#, "actions"),
        (r#"{"leads":1,"actions":["sms",7]}"#, "actions[1]"),
        (r#"{"leads":1,"actions":["sms","wallet"]}"#, "actions[1]"),
        (r#"{"leads":1,"actions":["sms"],"credits":5}"#, "credits"),
        (r#"{"leads":1,"actions":["sms","call","sms"]}"#, "actions[2]"),
    ] {
        let refused = raw(&api, Method::POST, "/teams/t/estimates", &pipeline(), body).await;
        let problem = refused.problem(INVALID.0, INVALID.1);
        let named = problem["errors"][0]["field"].as_str().unwrap().to_owned();
        assert!(named == field || named == "body", "{body}: {problem}");
    }
    // The largest body would make an equally large entry of a hold.
    let work = json!({ "leads": 1, "actions": vec!["sms"; 19_000] });
    api.hold("t", "work", &work).await.problem(INVALID.0, INVALID.1);
    assert_eq!(state(&api).await, before);
}

#[tokio::test]
async fn rejects_invalid_keys_and_content_types() {
    let api = Api::start().await;
    let before = team(&api).await;
    let body = json!({ "action": "sms" });
    let path = "/teams/t/charges";
    let missing = api.send(Method::POST, path, &member("t"), None, Some(&body)).await;
    assert_eq!(missing.problem(INVALID.0, INVALID.1)["errors"][0]["field"], "Idempotency-Key");
    for key in ["", &"x".repeat(256), &"\u{e9}".repeat(256)] {
        api.charge("t", key, &body).await.problem(INVALID.0, INVALID.1);
    }
    let url = format!("{}{path}", api.stack.url());
    let twice = api.http.post(&url).bearer_auth(member("t")).json(&body);
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "b");
    answer(twice).await.problem(INVALID.0, INVALID.1);
    let untyped = api.http.post(&url).bearer_auth(member("t")).header("idempotency-key", "k");
    for request in [
        untyped.try_clone().unwrap().body(body.to_string()),
        untyped.try_clone().unwrap().header("content-type", "text/plain").body(body.to_string()),
        untyped
            .try_clone()
            .unwrap()
            .header("content-type", "application/x-www-form-urlencoded")
            .body("action=sms"),
        untyped
            .try_clone()
            .unwrap()
            .header("content-type", "application/json; charset=iso-8859-1")
            .body(body.to_string()),
        untyped
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(body.to_string()),
    ] {
        answer(request).await.problem(415, "/problems/unsupported-media-type");
    }
    assert_eq!(state(&api).await, before);
    // The limit is 255 characters.
    for key in ["x".repeat(255), "\u{e9}".repeat(255)] {
        assert_eq!(api.charge("t", &key, &body).await.status, 201);
    }
}

#[tokio::test]
async fn rejects_bodies_of_ten_megabytes() {
    let api = Api::start().await;
    let before = team(&api).await;
    let body = format!(r#"{{"action":"sms","reference":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    for path in
        ["/teams/t/charges", "/teams/t/charges/batch", "/teams/t/estimates", "/teams/t/purchases"]
    {
        let refused = raw(&api, Method::POST, path, &admin("t"), body.clone()).await;
        refused.problem(413, "/problems/too-large");
    }
    let refused = raw(&api, Method::PUT, "/teams/t/subscription", &billing(), body).await;
    refused.problem(413, "/problems/too-large");
    assert_eq!(state(&api).await, before);
}

#[tokio::test]
async fn rejects_invalid_purchases_gifts_and_subscriptions() {
    let api = Api::start().await;
    let before = team(&api).await;
    let numbers =
        ["0", "-1", "1.5", "1e3", "\"1000\"", "null", "18446744073709551616", "NaN", "[1000]"];
    for number in numbers {
        let credits = format!(r#"{{"credits":{number}}}"#);
        for (path, token) in [("/teams/t/purchases", admin("t")), ("/teams/t/gifts", billing())] {
            raw(&api, Method::POST, path, &token, credits.clone())
                .await
                .problem(INVALID.0, INVALID.1);
        }
        let seats = format!(r#"{{"plan":"multichannel_expert","seats":{number}}}"#);
        let refused = raw(&api, Method::PUT, "/teams/t/subscription", &billing(), seats).await;
        refused.problem(INVALID.0, INVALID.1);
    }
    for (path, token, body) in [
        ("/teams/t/purchases", admin("t"), r#"{"credits":1000,"currency":"eur"}"#),
        ("/teams/t/purchases", admin("t"), r#"{"credits":1000,"credits":100}"#),
        ("/teams/t/purchases", admin("t"), "{}"),
        ("/teams/t/gifts", billing(), r#"{"credits":10000001}"#),
        ("/teams/t/gifts", billing(), r#"{"credits":1,"reason":"why"}"#),
    ] {
        raw(&api, Method::POST, path, &token, body).await.problem(INVALID.0, INVALID.1);
    }
    for body in [
        r"{}",
        r#"{"plan":"gold"}"#,
        r#"{"plan":"Email"}"#,
        r#"{"plan":null}"#,
        r#"{"plan":"email","seats":100001}"#,
        r#"{"plan":"email","started_at":"yesterday"}"#,
        r#"{"plan":"email","started_at":"2027-01-31"}"#,
        r#"{"plan":"email","started_at":1234567890}"#,
        r#"{"plan":"email","account_created_at":"2027-02-28T00:00:00Z"}"#,
        r#"{"plan":"email","included_credits":5}"#,
        r#"{"plan":"enterprise","included_credits":100000001}"#,
        r#"{"plan":"enterprise","included_credits":-1}"#,
        r#"{"plan":"enterprise","colour":"red"}"#,
        r#"{"plan":"email","version":-1}"#,
        r#"{"plan":"email","version":"1"}"#,
        r#"{"plan":"email","version":9223372036854775808}"#,
        r#"{"plan":"email","version":18446744073709551616}"#,
        r#"{"plan":"email","team":"t"}"#,
    ] {
        for team in ["t", "new"] {
            let path = format!("/teams/{team}/subscription");
            raw(&api, Method::PUT, &path, &billing(), body).await.problem(INVALID.0, INVALID.1);
        }
    }
    assert_eq!(state(&api).await, before);
    // A refused request opens no account.
    api.get(&pipeline(), "/teams/new/credits").await.problem(404, "/problems/not-found");
}

/// A route that takes no body accepts none and an empty object.
#[tokio::test]
async fn rejects_a_field_in_the_body_of_a_route_without_one() {
    let api = Api::start().await;
    let before = team(&api).await;
    let mut refused = 0;
    for route in routes() {
        if route.body.is_some() || route.method == Method::GET {
            continue;
        }
        let body = json!({ "colour": "red" });
        let is_of_admins = ["refund", "payment-method"].iter().any(|end| route.path.ends_with(end));
        let token = if is_of_admins { admin("t") } else { billing() };
        let token = if route.path.contains("release") { pipeline() } else { token };
        let answer = api.send(route.method, route.path, &token, Some("k"), Some(&body)).await;
        answer.problem_of("colour");
        refused += 1;
    }
    assert_eq!(refused, 8);
    assert_eq!(state(&api).await, before);
    let account = "/teams/t/monitored-accounts/acme";
    api.put(&admin("t"), account, &json!({})).await.ok();
}

#[tokio::test]
async fn rejects_invalid_days() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let last = api.get(&member("t"), "/teams/t/history?from=9999-12-31&to=9999-12-31").await;
    assert_eq!(last.ok()["entries"], json!([]));
    let afternoon = "/teams/t/history?from=2027-01-31T12:00:00Z&to=2027-01-31";
    api.get(&member("t"), afternoon).await.ok();
    let next_day = "/teams/t/history?from=2027-02-01T00:00:00Z&to=2027-01-31";
    api.get(&member("t"), next_day).await.problem_of("to");
    for at in ["", "yesterday", "2027-01-01T00:00:00Z", "2027-13-01", "2027-01-01&at=2027-01-02"] {
        api.get("", &format!("/prices?at={at}")).await.problem_of("at");
    }
}

#[tokio::test]
async fn rejects_invalid_paths_and_queries() {
    let api = Api::start().await;
    let before = team(&api).await;
    for path in ["a%23b", "a%3fb", "a%2fb", "a%2523b", "a%25b"] {
        let path = format!("/teams/{path}/credits");
        api.get(&pipeline(), &path).await.problem(404, "/problems/not-found");
    }
    for path in
        ["/teams/%20/credits", "/teams/%ff/credits", &format!("/teams/{}/credits", "x".repeat(65))]
    {
        let problem = api.get(&pipeline(), path).await.problem(INVALID.0, INVALID.1);
        assert_eq!(problem["errors"][0]["field"], "team", "{problem}");
    }
    for query in ["", "?confirm", "?confirm=", "?confirm=other", "?confirm=t&confirm=t"] {
        let path = format!("/teams/t{query}");
        let problem = api.delete(&billing(), &path).await.problem(INVALID.0, INVALID.1);
        assert!(problem.to_string().contains("confirm"), "{problem}");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=",
        "kind=wallet",
        "kind=",
        "action=wallet",
        "user=",
        "from=yesterday",
        "from=2027-01-31T23:00:00",
        "to=2027-01-31T09:00",
        "to=2027-13-01",
        "from=2027-02-01&to=2027-01-01",
        "from=2027-01-31&to=2027-01-30",
        "cursor=nonsense",
        "cursor=",
        "cursor=AAAA",
        "colour=red",
        "limit=1&limit=2",
    ] {
        let refused = api.get(&member("t"), &format!("/teams/t/history?{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
        refused.problem(INVALID.0, INVALID.1);
    }
    for version in ["", "-1", "x", "1&version=2", "9223372036854775808", "1&colour=red"] {
        let path = format!("/teams/t/subscription?version={version}");
        api.delete(&billing(), &path).await.problem(INVALID.0, INVALID.1);
    }
    let long = "x".repeat(65);
    for account in ["%20", "%ff", &long] {
        let path = format!("/teams/t/monitored-accounts/{account}");
        for method in [Method::PUT, Method::DELETE] {
            let refused = api.send(method, &path, &admin("t"), None, None).await;
            refused.problem(INVALID.0, INVALID.1);
        }
    }
    assert_eq!(state(&api).await, before);
    let past = api.put("", "/dev/clock", &json!({ "now": "2027-01-30T00:00:00Z" })).await;
    past.problem(INVALID.0, INVALID.1);
}
