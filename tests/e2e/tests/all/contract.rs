//! The function `panel`: the document, its page, problem types, the health check, and unmatched requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::support::api::{Answer, Api, answer, member};
use crate::support::contract::{Sent, check, path_item, validate};
use crate::support::document::{document, operations, resolved};
use crate::support::gateway::Event;
use crate::support::routes::{Caller, routes};

#[tokio::test]
async fn anyone_reads_the_contract_and_its_page() {
    let api = Api::start().await;
    let contract = api.get("", "/openapi.json").await;
    assert_eq!(contract.headers["content-type"], "application/json");
    assert_eq!(contract.text, panel::DOCUMENT);
    let page = api.get("", "/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for (_, _, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.text.contains(&format!("<section id=op-{id}>")), "{id}");
    }
    assert_eq!(api.get("", "/health").await.json(), json!({ "status": "ok" }));
}

/// The policy permits the page's own style. The page has no script, and loads nothing.
#[tokio::test]
async fn the_page_follows_its_content_policy() {
    let api = Api::start().await;
    let page = api.get("", "/docs").await;
    let style = page.text.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let style = format!("style-src 'sha256-{}'", STANDARD.encode(Sha256::digest(style)));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    let policy: Vec<&str> = policy.split("; ").collect();
    let none = ["default-src", "base-uri", "form-action", "frame-ancestors"];
    let none = none.map(|name| format!("{name} 'none'"));
    assert_eq!(policy, [&none[0], &style, &none[1], &none[2], &none[3]]);
    for banned in
        ["<script", " style=", "<img", "<link", "src=", "url(", "@import", "<iframe", "<form"]
    {
        assert!(!page.text.contains(banned), "{banned}");
    }
}

#[tokio::test]
async fn a_problem_type_leads_to_its_section_of_the_page() {
    let api = Api::start().await;
    let page = api.get("", "/docs").await;
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap().values();
    let types = schemas.filter_map(|schema| schema["properties"]["type"]["const"].as_str());
    let types: BTreeSet<&str> = types.filter(|kind| *kind != "about:blank").collect();
    assert!(types.len() > 15, "{types:?}");
    for kind in types {
        let found = api.get("", kind).await;
        let anchor = kind.replace("/problems/", "problem-");
        assert_eq!(found.status, 303, "{kind}");
        assert_eq!(found.headers["location"], format!("../docs#{anchor}"));
        assert!(page.text.contains(&format!("<section id={anchor}>")), "{anchor}");
    }
    for unknown in ["nothing", "Busy", "busy%22", "bus", "internal"] {
        let refused = api.get("", &format!("/problems/{unknown}")).await;
        refused.problem(404, "/problems/not-found");
    }
}

/// API Gateway sends the function each request that no route matches.
#[tokio::test]
async fn unmatched_requests_are_answered_404_or_405() {
    let api = Api::start().await;
    let mut methods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for route in routes() {
        let path = route.path.split('?').next().unwrap().to_owned();
        methods.entry(path).or_default().push(route.method.to_string());
    }
    for (path, known) in &methods {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
            // The function answers its own routes.
            let is_served = known.contains(&method.to_owned()) || method == "HEAD";
            if !is_served {
                let event = Event::new(&method.parse().unwrap(), path, None);
                let refused = api.request("panel", &event).await;
                refused.problem(405, "/problems/method-not-allowed");
                let allowed = refused.headers["allow"].to_str().unwrap().split(',');
                let allowed: BTreeSet<&str> = allowed.collect();
                assert_eq!(allowed, known.iter().map(String::as_str).collect(), "{path}");
            }
        }
    }
    for path in ["/", "/nothing", "/teams", "/teams/t/wallet", "/teams/t/charges/k", "/dev/clock"] {
        let event = Event::new(&Method::GET, path, None);
        api.request("panel", &event).await.problem(404, "/problems/not-found");
    }
}

#[tokio::test]
async fn the_contract_is_compressed_if_the_client_accepts_it() {
    let api = Api::start().await;
    for (path, text) in [("/openapi.json", panel::DOCUMENT), ("/docs", "<!doctype html>")] {
        let mut event = Event::new(&Method::GET, path, None);
        event.0["headers"]["accept-encoding"] = json!("gzip");
        let packed = api.invoke("panel", &event.0).await.unwrap();
        assert_eq!(packed["headers"]["content-encoding"], "gzip", "{path}");
        assert_eq!(packed["isBase64Encoded"], true);
        let bytes = STANDARD.decode(packed["body"].as_str().unwrap()).unwrap();
        assert!(bytes.len() < 25_000, "{path}: {} bytes", bytes.len());
        let mut unpacked = String::new();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut unpacked).unwrap();
        assert!(unpacked.starts_with(text), "{path}");
    }
}

fn name(caller: Caller) -> &'static str {
    match caller {
        Caller::Member => "member",
        Caller::Admin => "admin",
        Caller::Charge => "credits:charge",
        Caller::Manage => "credits:manage",
        Caller::Read => "credits:read",
    }
}

/// The list of routes is that of the template and of the routers.
#[test]
fn the_contract_has_every_route_with_its_callers() {
    let mut served = BTreeMap::new();
    for route in routes() {
        let (template, _) = path_item(route.path.split('?').next().unwrap()).unwrap();
        let callers: BTreeSet<&str> = match route.path {
            "/teams/t/purchases/p_1/refund" => BTreeSet::from(["member", "admin"]),
            _ if route.is_public => BTreeSet::new(),
            _ => route.callers.iter().map(|caller| name(*caller)).collect(),
        };
        served.insert((template.clone(), route.method.to_string().to_lowercase()), callers);
    }
    let document = document();
    let declared = operations(&document).map(|(method, path, operation)| {
        let callers = operation["x-callers"].as_array().unwrap().iter();
        let callers: BTreeSet<&str> = callers.map(|caller| caller.as_str().unwrap()).collect();
        let is_public = operation.get("security") == Some(&json!([]));
        assert_eq!(callers.is_empty(), is_public, "{method} {path}");
        ((path.clone(), method.clone()), callers)
    });
    assert_eq!(declared.collect::<BTreeMap<_, _>>(), served);
}

/// Every body and every problem has an example. Every example follows its schema.
#[test]
fn the_examples_of_the_contract_follow_their_schemas() {
    let document = document();
    let mut checked = 0;
    for (method, path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap().iter();
        let responses = responses.map(|(status, response)| (status.as_str(), response));
        let request = operation.get("requestBody").map(|body| ("request", body));
        for (name, body) in responses.chain(request) {
            let content = resolved(&document, body)["content"].as_object();
            for (media_type, media) in content.into_iter().flatten() {
                let place = format!("example of {method} {path} {name} {media_type}");
                let examples = media["examples"].as_object();
                assert!(examples.is_some_and(|examples| !examples.is_empty()), "no {place}");
                for example in examples.into_iter().flat_map(Map::values) {
                    validate(&place, &media["schema"], &resolved(&document, example)["value"]);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{checked} examples");
}

/// The examples of the answer of an operation.
fn shown(path: &str, method: &str, status: &str, media: &str) -> Vec<Value> {
    let document = document();
    let response = &document["paths"][path][method]["responses"][status];
    let examples = &resolved(&document, response)["content"][media]["examples"];
    let examples = examples.as_object().unwrap().values();
    examples.map(|example| resolved(&document, example)["value"].clone()).collect()
}

#[tokio::test]
async fn the_example_of_a_refused_refund_states_the_rule() {
    let api = Api::start().await;
    let path = "/teams/t/purchases/p_1/refund";
    let refused = api.send(Method::POST, path, &member("t"), None, None).await;
    let path = "/teams/{team}/purchases/{id}/refund";
    let examples = shown(path, "post", "403", "application/problem+json");
    assert_eq!(examples, [refused.problem(403, "/problems/forbidden")]);
}

#[tokio::test]
async fn the_example_of_a_file_has_the_columns_of_the_history() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let url = format!("{}/teams/t/history", api.stack.url());
    let file = api.http.get(url).bearer_auth(member("t")).header("accept", "text/csv");
    let file = answer(file).await;
    let examples = shown("/teams/{team}/history", "get", "200", "text/csv");
    let mut lines = examples[0].as_str().unwrap().lines();
    let columns = lines.next().unwrap();
    assert_eq!(Some(columns), file.text.lines().next());
    let count = columns.split(',').count();
    assert!(lines.all(|row| row.split(',').count() == count), "{examples:?}");
}

#[test]
fn the_example_of_a_file_that_is_too_large_asks_to_narrow_the_range() {
    let path = "/teams/{team}/history";
    let examples = shown(path, "get", "413", "application/problem+json");
    assert!(examples[0]["detail"].as_str().unwrap().contains("narrow the range"), "{examples:?}");
}

/// Asserts that the check of an answer fails with a text.
#[track_caller]
fn assert_found(sent: &Sent<'_>, answer: &Answer, expected: &str) {
    let mistake = catch_unwind(AssertUnwindSafe(|| check(sent, answer))).unwrap_err();
    let mistake = mistake.downcast_ref::<String>().unwrap();
    assert!(mistake.contains(expected), "{expected}: {mistake}");
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, "application/json".parse().unwrap()),
        ("x-request-id".parse().unwrap(), "request".parse().unwrap()),
    ])
}

#[test]
fn the_contract_checks_find_accepted_values_that_it_forbids() {
    let text = json!({ "entries": [], "cursor": null }).to_string();
    let answer = Answer { status: 200, headers: json_headers(), text };
    for (path, query, expected) in [
        ("/teams/t/history", "limit=201", "query limit"),
        ("/teams/t/history", "limit=ten", "query limit"),
        ("/teams/t/history", "kind=order", "query kind"),
        ("/teams/t/history", "from=yesterday", "query from"),
        ("/teams/t/history", "to=2027-02-30", "query to"),
        ("/teams/t/history", "hold=", "query hold"),
        ("/teams/t/history", "wallet=t", "query wallet is undeclared"),
        ("/teams/a%20team/history", "", "path team"),
    ] {
        let sent = Sent { method: "GET", path, query, headers: &HeaderMap::new(), body: &[] };
        assert_found(&sent, &answer, expected);
    }
    let answer = Answer { text: json!({ "team": "t", "account": "closed" }).to_string(), ..answer };
    let sent = Sent {
        method: "DELETE",
        path: "/teams/t",
        query: "",
        headers: &HeaderMap::new(),
        body: &[],
    };
    assert_found(&sent, &answer, "query confirm is missing");
}

#[test]
fn the_contract_checks_find_accepted_headers_that_it_forbids() {
    let template = "/teams/{team}/holds/{hold}/release";
    let text = shown(template, "post", "200", "application/json")[0].to_string();
    let answer = Answer { status: 200, headers: json_headers(), text };
    let path = "/teams/t/holds/h_1/release";
    let key = |key: &'static str| {
        HeaderMap::from_iter([("idempotency-key".parse().unwrap(), key.parse().unwrap())])
    };
    for (headers, expected) in [
        (HeaderMap::new(), "header Idempotency-Key is missing"),
        (key(""), "header Idempotency-Key"),
    ] {
        let sent = Sent { method: "POST", path, query: "", headers: &headers, body: &[] };
        assert_found(&sent, &answer, expected);
    }
}

#[test]
fn the_contract_checks_find_headers_of_answers_that_it_forbids() {
    let sent = Sent {
        method: "GET",
        path: "/teams/t/credits",
        query: "",
        headers: &HeaderMap::new(),
        body: &[],
    };
    for (status, name, value) in [
        (503, "Retry-After", "soon"),
        (503, "Retry-After", "0"),
        (401, "WWW-Authenticate", "Basic"),
    ] {
        let headers = HeaderMap::from_iter([
            ("x-request-id".parse().unwrap(), "request".parse().unwrap()),
            (name.parse().unwrap(), value.parse().unwrap()),
        ]);
        let answer = Answer { status, headers, text: String::new() };
        assert_found(&sent, &answer, &format!("header {name}"));
    }
}

/// Each accepted request is checked, so a kind that the contract lacks is found.
#[tokio::test]
async fn the_history_has_a_filter_for_every_kind_of_entry() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    for kind in ["charge", "capture", "hold", "release", "purchase", "gift", "grant", "expiry"] {
        let page = api.get(&member("t"), &format!("/teams/t/history?kind={kind}")).await.ok();
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["kind"] == kind), "{kind}: {page}");
    }
}

/// Ids of operations are names in generated clients.
#[test]
fn the_ids_of_operations_are_unique() {
    let document = document();
    let ids = operations(&document).map(|(_, _, operation)| operation["operationId"].as_str());
    let ids: Vec<&str> = ids.map(Option::unwrap).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let schemas = document["components"]["schemas"].as_object().map(Map::len);
    assert!(schemas.is_some_and(|schemas| schemas > 50), "{:?}", Value::from(schemas));
}
