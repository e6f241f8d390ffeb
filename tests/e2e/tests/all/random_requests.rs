//! Random requests and events at each function's entry point: never a fault, and what is refused has
//! changed nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::TABLE;
use lambda_http::{Context, LambdaEvent};
use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::callers::{Route, Who, routes, tokens};
use crate::gateway::{Event, function_of};
use crate::support::api::Api;

/// Answers after which the table is as it was.
const CHANGE_NOTHING: [u16; 9] = [400, 401, 403, 404, 405, 413, 415, 422, 429];

/// Answers after which the team has paid for nothing.
const CHARGE_NOTHING: [u16; 2] = [402, 409];

fn text() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        ".",
        "..",
        "#",
        "?x",
        "%23",
        "a/b",
        "\u{0}",
        "\u{ff1d}1",
        "t",
        "h_1",
        "k",
        "null",
        "-1",
        "9007199254740993",
        "{}",
        "\"",
        "credits:manage",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "\\PC{0,12}", Just("x".repeat(300))]
}

fn number() -> impl Strategy<Value = Value> {
    let odd = select(vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(9_007_199_254_740_992_u64),
        json!(1_000_001),
    ]);
    prop_oneof![odd, (0..2_000_u32).prop_map(|number| json!(number))]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// What is done to a valid JSON document.
#[derive(Clone, Debug)]
enum Change {
    /// A value is replaced.
    Replace(Index, Value),
    /// An object gets a field.
    Add(Index, String, Value),
    /// A value is taken out of its object.
    Remove(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), any_json()).prop_map(|(at, value)| Change::Replace(at, value)),
        1 => (place(), text(), any_json()).prop_map(|(at, name, value)| Change::Add(at, name, value)),
        2 => place().prop_map(Change::Remove),
    ]
}

/// The pointers of all values in a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn changed(mut value: Value, changes: &[Change]) -> Value {
    for change in changes {
        let mut places: Vec<String> = Vec::new();
        pointers(&value, "", &mut places);
        let (Change::Replace(at, _) | Change::Add(at, ..) | Change::Remove(at)) = change;
        let place: &String = at.get(&places);
        match change {
            Change::Replace(_, new) => *value.pointer_mut(place).unwrap() = new.clone(),
            Change::Add(_, name, new) => {
                if let Some(Value::Object(map)) = value.pointer_mut(place) {
                    map.insert(name.clone(), new.clone());
                }
            }
            Change::Remove(_) => {
                let parent = place.rsplit_once('/');
                let parent = parent.and_then(|(parent, name)| {
                    Some((value.pointer_mut(parent)?.as_object_mut()?, name))
                });
                if let Some((object, name)) = parent {
                    object.remove(name);
                }
            }
        }
    }
    value
}

/// The body of a request.
#[derive(Clone, Debug)]
enum Content {
    /// That of the route, with changes.
    Changed(Vec<Change>),
    Json(Value),
    Bytes(Vec<u8>),
    None,
}

/// Who sends a request.
#[derive(Clone, Debug)]
enum Sender {
    /// A caller that the route is open to.
    Permitted(Index),
    Token(Index),
    Claims(BTreeMap<String, String>),
    Nobody,
}

#[derive(Clone, Debug)]
struct Hostile {
    route: Index,
    method: Option<&'static str>,
    segment: Option<(Index, String)>,
    query: Option<String>,
    sender: Sender,
    key: Option<String>,
    content: Content,
    media_type: Option<&'static str>,
    encoding: Option<&'static str>,
    headers: BTreeMap<String, String>,
    /// The body is said to be in base64 and is not.
    is_misdeclared: bool,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let place = any::<Index>;
    let method = select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "ODD"]);
    let query = prop_oneof![
        text(),
        ("(from|to|limit|cursor|kind|action|cycle|list|at|confirm)", text())
            .prop_map(|(name, value)| format!("{name}={value}")),
    ];
    let sender = prop_oneof![
        7 => place().prop_map(Sender::Permitted),
        1 => place().prop_map(Sender::Token),
        1 => btree_map("(sub|team|role|scope)", text(), 0..4).prop_map(Sender::Claims),
        1 => Just(Sender::Nobody),
    ];
    let key = prop_oneof![4 => "[a-e]", 1 => text()];
    let content = prop_oneof![
        4 => vec(change(), 0..3).prop_map(Content::Changed),
        1 => any_json().prop_map(Content::Json),
        1 => vec(any::<u8>(), 0..40).prop_map(Content::Bytes),
        1 => Just(Content::None),
    ];
    let types = vec!["text/plain", "application/json; charset=utf-16", "", "application/json"];
    let request = (
        place(),
        weighted(0.1, method),
        weighted(0.15, (place(), text())),
        weighted(0.15, query),
        sender,
    );
    let rest = (
        weighted(0.9, key),
        content,
        weighted(0.05, select(types)),
        weighted(0.03, select(vec!["gzip", "identity"])),
        btree_map("(host|x-forwarded-proto|x-forwarded-host|accept|cookie|origin)", text(), 0..2),
        prop::bool::weighted(0.05),
    );
    (request, rest).prop_map(|(request, rest)| {
        let (route, method, segment, query, sender) = request;
        let (key, content, media_type, encoding, headers, is_misdeclared) = rest;
        Hostile {
            route,
            method,
            segment,
            query,
            sender,
            key,
            content,
            media_type,
            encoding,
            headers,
            is_misdeclared,
        }
    })
}

fn token_of(who: Who) -> String {
    tokens().into_iter().find(|(_, _, it)| *it == Some(who)).unwrap().1
}

impl Hostile {
    /// The function, and the event.
    fn event(self) -> (String, Event) {
        let routes = routes();
        let route: &Route = self.route.get(&routes);
        let (path, own_query) = route.path.split_once('?').unwrap_or((route.path, ""));
        let named = |name: &str| Method::from_bytes(name.as_bytes()).unwrap();
        let method = self.method.map_or(route.method.clone(), named);
        let token = match &self.sender {
            Sender::Permitted(at) if !route.callers.is_empty() => {
                Some(token_of(*at.get(route.callers)))
            }
            Sender::Permitted(at) | Sender::Token(at) => Some(at.get(&tokens()).1.clone()),
            Sender::Claims(_) | Sender::Nobody => None,
        };
        let Event(mut event) = Event::new(&method, path, token.as_deref());
        if let Sender::Claims(claims) = &self.sender {
            event["requestContext"]["authorizer"] =
                json!({ "jwt": { "claims": claims, "scopes": null } });
        }
        if let Some((at, text)) = &self.segment {
            let mut segments: Vec<&str> = path.split('/').skip(1).collect();
            *at.get_mut(&mut segments) = text;
            event["rawPath"] = json!(format!("/{}", segments.join("/")));
        }
        event["rawQueryString"] = json!(self.query.as_deref().unwrap_or(own_query));
        let headers = &mut event["headers"];
        // No HTTP header has control characters.
        for (name, value) in self.headers {
            if !value.contains(char::is_control) {
                headers[name] = json!(value);
            }
        }
        if let Some(key) = self.key.filter(|key| !key.contains(char::is_control)) {
            headers["idempotency-key"] = json!(key);
        }
        if let Some(encoding) = self.encoding {
            headers["content-encoding"] = json!(encoding);
        }
        let bytes = match self.content {
            Content::Changed(changes) => {
                route.body.clone().map(|body| changed(body, &changes).to_string().into_bytes())
            }
            Content::Json(value) => Some(value.to_string().into_bytes()),
            Content::Bytes(bytes) => Some(bytes),
            Content::None => None,
        };
        if let Some(bytes) = bytes {
            headers["content-type"] = json!(self.media_type.unwrap_or("application/json"));
            let encoded = STANDARD.encode(bytes);
            event["body"] = json!(if self.is_misdeclared { "{}".to_owned() } else { encoded });
            event["isBase64Encoded"] = json!(true);
        }
        (function_of(path), Event(event))
    }
}

impl Api {
    /// All items of the table.
    async fn table(&self) -> Vec<String> {
        let client = self.stack.engine().client();
        let mut pages = client.scan().table_name(TABLE).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            let item: Value = serde_dynamo::from_item(item.unwrap()).unwrap();
            items.push(item.to_string());
        }
        items.sort();
        items
    }

    /// Waits until the relay has told of all that was written, and automatic top-ups are through.
    async fn comes_to_rest(&self) {
        let mut told = None;
        loop {
            let next = self.get("", "/dev/events").await.ok()["next"].clone();
            if told.as_ref() == Some(&next) {
                return;
            }
            told = Some(next);
        }
    }

    /// The team's credits, and how many charges it has.
    async fn paid(&self) -> (Value, usize) {
        let is_charge = |entry: &&Value| entry["kind"] == "charge" || entry["kind"] == "capture";
        let charges = self.history("t").await.iter().filter(is_charge).count();
        (self.balance("t").await["credits"].clone(), charges)
    }

    async fn with_a_team() -> Self {
        let api = Self::start().await;
        api.team_with("t", 1_000).await;
        api
    }
}

fn check(is_true: bool, what: impl FnOnce() -> String) -> TestCaseResult {
    if is_true { Ok(()) } else { Err(TestCaseError::fail(what())) }
}

/// Runs so many times 256 cases on one stack.
fn each<T: Debug>(
    factor: u32,
    strategy: impl Strategy<Value = T>,
    test: &impl AsyncFn(&mut Api, T) -> TestCaseResult,
) {
    let cases = ProptestConfig::default().cases * factor;
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = Runtime::new().unwrap();
    let api = RefCell::new(runtime.block_on(Api::with_a_team()));
    let run = |input| runtime.block_on(test(&mut api.borrow_mut(), input));
    TestRunner::new(config).run(&strategy, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_random_request_is_answered_and_changes_nothing_if_it_is_refused() {
    each(2, hostile(), &async |api, input| {
        let (function, event) = input.event();
        api.comes_to_rest().await;
        let (paid, table) = (api.paid().await, api.table().await);
        let answer = api.request(&function, &event).await;
        let status = answer.status;
        check(status < 500, || format!("{function} {}: {answer:?}", event.0))?;
        if CHANGE_NOTHING.contains(&status) {
            let is_same = api.table().await == table;
            check(is_same, || format!("{status} for {} changed the table", event.0))?;
        }
        if CHARGE_NOTHING.contains(&status) {
            let is_same = api.paid().await == paid;
            check(is_same, || format!("{status} for {} was charged", event.0))?;
        }
        if api.balance("t").await["account"] == "closed" {
            *api = Api::with_a_team().await;
        }
        Ok(())
    });
}

/// Samples of what invokes the functions besides the API.
const MESSAGES: [(&str, &str); 6] = [
    ("charge", include_str!("../../../../events/charge-direct.json")),
    ("charge", include_str!("../../../../events/charge-queued.json")),
    ("team", include_str!("../../../../events/subscription-changed.json")),
    ("team", include_str!("../../../../events/subscription-cancelled.json")),
    ("team", include_str!("../../../../events/account-closed.json")),
    ("purchase", include_str!("../../../../events/top-up-due.json")),
];

/// A message that is refused is an error, so that it comes again and is kept in the end; to a direct
/// invocation a refusal is an answer.
#[test]
fn a_random_message_is_answered_and_changes_nothing_if_it_is_refused() {
    let message = (any::<Index>(), vec(change(), 0..4), weighted(0.2, any_json()));
    each(2, message, &async |api, (at, changes, instead)| {
        let (function, sample) = at.get(&MESSAGES);
        let sample = || changed(serde_json::from_str(sample).unwrap(), &changes);
        let message = instead.unwrap_or_else(sample);
        api.comes_to_rest().await;
        let table = api.table().await;
        let answer = api.invoke(function, &message).await;
        let told = format!("{function} {message}: {answer:?}");
        let problem = match &answer {
            Ok(answer) => answer["problem"].clone(),
            Err(error) => serde_json::from_str(error).unwrap_or_default(),
        };
        let status = problem["status"].as_u64();
        check(status.is_none_or(|status| status < 500), || told.clone())?;
        let is_refused = answer.is_err() || status.is_some();
        let is_same = !is_refused || api.table().await == table;
        check(is_same, || format!("{told} changed the table"))
    });
}

/// Whatever comes, no more is done than what is due.
#[test]
fn a_random_event_of_the_schedule_or_the_stream_does_no_harm() {
    let schedule = include_str!("../../../../events/refill.json");
    let stream = include_str!("../../../../events/relay.json");
    let event = (any::<bool>(), vec(change(), 0..4));
    each(1, event, &async |api, (is_schedule, changes)| {
        let app = api.stack.app();
        let sample = serde_json::from_str(if is_schedule { schedule } else { stream }).unwrap();
        let event = changed(sample, &changes);
        let is_statement = |item: &String| item.contains("CYCLE#");
        let table = async || {
            let items = api.table().await;
            items.into_iter().filter(|item| !is_statement(item)).collect::<Vec<_>>()
        };
        api.comes_to_rest().await;
        let before = table().await;
        if !is_schedule && let Ok(batch) = serde_json::from_value(event.clone()) {
            let (bus, batch) =
                (api.stack.eventbridge().bus(), LambdaEvent::new(batch, Context::default()));
            let done = relay::handle(&app.store, &bus, batch).await;
            check(done.is_ok(), || format!("{event}: {done:?}"))?;
        } else if is_schedule && let Ok(schedule) = serde_json::from_value(event.clone()) {
            let schedule = LambdaEvent::new(schedule, Context::default());
            let done = refill::handle(app, schedule).await;
            check(done.is_ok(), || format!("{event}: {done:?}"))?;
        }
        check(table().await == before, || format!("{event} changed the table"))
    });
}
