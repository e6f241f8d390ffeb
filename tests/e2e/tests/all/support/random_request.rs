//! Random requests to the routes of the functions.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use reqwest::Method;
use serde_json::{Value, json};

use super::gateway::{Event, function_of};
use super::random_json::{Change, any_json, change, changed, text};
use super::routes::{Caller, Route, routes, tokens};

/// The body of a request.
#[derive(Clone, Debug)]
pub enum Content {
    /// The body of the route, with changes.
    Changed(Vec<Change>),
    Json(Value),
    Bytes(Vec<u8>),
    None,
}

/// The sender of a request.
#[derive(Clone, Debug)]
pub enum Sender {
    /// A caller to whom the route is open.
    Permitted(Index),
    Token(Index),
    Claims(BTreeMap<String, String>),
    Nobody,
}

#[derive(Clone, Debug)]
pub struct Hostile {
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
    /// Whether the body is declared as base64 without being encoded.
    is_misdeclared: bool,
}

pub fn hostile() -> impl Strategy<Value = Hostile> {
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

pub fn token_of(who: Caller) -> String {
    tokens().into_iter().find(|(_, _, it)| *it == Some(who)).unwrap().1
}

impl Hostile {
    /// Returns the function and the event.
    pub fn event(self) -> (String, Event) {
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
        // An HTTP header contains no control characters.
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
