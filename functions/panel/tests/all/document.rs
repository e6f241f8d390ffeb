//! The OpenAPI document, built from the table of operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::http::Problem;

use crate::examples::Examples;
use crate::operation::{Answer, Body, Callers, Link, Operation};
use crate::operations::operations;
use crate::problems::{ProblemType, phrase, problem_types};
use crate::schemas::{name_of, named, parameters, reachable, reference, schemas};

/// The version of the contract. A breaking change raises its major number.
const VERSION: &str = "1.0.0";

const INTRODUCTION: &str = "\
Credits of teams: charges, holds, purchases, subscriptions and their history.

A request has a bearer JWT. A token with the claims `team` and `role` (`admin` or `member`) is a person's. A \
token with neither is a machine client's; its `scope` has `credits:charge`, `credits:manage` or `credits:read`.

Times are RFC 3339 in UTC. Dates are `YYYY-MM-DD`. Credits and cents are integers, written without a \
fraction: `5`, not `5.0`. An unknown query parameter or field of a body is refused. Answers may get further \
fields: clients ignore those that they do not use.

A request with an `Idempotency-Key` can be sent again: the same key with the same request gets the first \
answer. A refusal leaves the key free. A refusal is a problem document (RFC 9457), and changes nothing. After \
503 and 500 the request may have been applied: send it again with the same key.";

/// The document.
pub fn document() -> Value {
    let operations = operations();
    let types = problem_types();
    let schemas = schemas(&operations);
    let examples = Examples::read();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in &operations {
        let built = Builder { schemas: &schemas, types: &types, examples: &examples };
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.method.to_owned(), built.operation(operation));
    }
    assert_eq!(examples.unused(), [], "no operation has these examples");
    let mut components: Map<String, Value> = schemas
        .iter()
        .filter(|(name, _)| !name.ends_with("Query"))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    components.extend(types.iter().map(|kind| (kind.schema.clone(), kind.schema())));
    let used = used_schemas(&components, &paths, &types);
    components.retain(|name, _| used.contains(name));
    let text = json!(paths).to_string();
    // A status with several types refers to none of these.
    let is_used = |kind: &&ProblemType| {
        kind.example.status == 405 || text.contains(&format!("responses/{}\"", kind.schema))
    };
    let responses =
        types.iter().filter(is_used).map(|kind| (kind.schema.clone(), refusal(&[kind], &[])));
    let problems = types.iter().map(|kind| (kind.schema.clone(), json!({ "value": kind.example })));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Credits",
            "version": VERSION,
            "summary": "Credits of teams",
            "description": INTRODUCTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": ".", "description": "The API that answers this document." }],
        "tags": tags(),
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": responses.collect::<Map<_, _>>(),
            "examples": problems.collect::<Map<_, _>>(),
            "headers": headers(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    })
}

/// The names of the schemas that the paths and the problem types refer to.
fn used_schemas(
    components: &Map<String, Value>,
    paths: &BTreeMap<&str, Map<String, Value>>,
    types: &[ProblemType],
) -> BTreeSet<String> {
    let mut all: BTreeMap<String, Value> = components.clone().into_iter().collect();
    all.insert("paths".to_owned(), json!(paths));
    // The paths also refer to headers. An answer and an example have the name of their problem type.
    all.extend(headers().into_iter().map(|(name, _)| (name, Value::Null)));
    reachable(&all, types.iter().map(|kind| kind.schema.as_str()).chain(["paths"]))
}

fn tags() -> Value {
    json!([
        { "name": "Charges", "description": "What a team does costs credits." },
        { "name": "Holds", "description": "Credits that are reserved for a job." },
        { "name": "Balance", "description": "What a team has, and what it used." },
        { "name": "Purchases", "description": "Credits that a team buys." },
        { "name": "Teams", "description": "Subscriptions, gifts, settings and monitored accounts." },
        { "name": "Catalogue", "description": "Prices and plans." },
        { "name": "Contract", "description": "This document, its page, and a health check." },
    ])
}

fn headers() -> Map<String, Value> {
    let header = |description: &str, schema: Value, example: Value| {
        json!({
            "description": description, "required": true, "schema": schema, "example": example,
        })
    };
    let text = || json!({ "type": "string" });
    [
        (
            "Allow",
            header("The methods of the route, separated by commas.", text(), json!("GET,PUT")),
        ),
        (
            "ETag",
            header("The tag of the answer, for `If-None-Match`.", text(), json!("W/\"6b1f\"")),
        ),
        (
            "Idempotent-Replayed",
            header(
                "This answers a replay.",
                json!({ "const": "true", "type": "string" }),
                json!("true"),
            ),
        ),
        ("Location", header("The place of the answer.", text(), json!("../docs#problem-busy"))),
        (
            "RateLimit",
            header(
                "The rest of the allowance, and the seconds until it grows.",
                text(),
                json!("\"free-requests\";r=0;t=1"),
            ),
        ),
        (
            "RateLimit-Policy",
            header("The allowance.", text(), json!("\"free-requests\";q=100;w=60")),
        ),
        (
            "Retry-After",
            header("Seconds to wait.", json!({ "type": "integer", "minimum": 1 }), json!(1)),
        ),
        (
            "WWW-Authenticate",
            header(
                "The scheme of the token.",
                json!({ "const": "Bearer", "type": "string" }),
                json!("Bearer"),
            ),
        ),
        (
            "X-Request-Id",
            header("The id of the request in the log.", text(), json!("JKJaXmPLvHcESHA=")),
        ),
    ]
    .into_iter()
    .map(|(name, header)| (name.to_owned(), header))
    .collect()
}

fn header_references(names: &[&str]) -> Value {
    let names = names.iter().chain(&["X-Request-Id"]);
    let reference = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    names.map(|name| ((*name).to_owned(), reference(name))).collect::<Map<_, _>>().into()
}

struct Builder<'a> {
    schemas: &'a BTreeMap<String, Value>,
    types: &'a [ProblemType],
    examples: &'a Examples,
}

impl Builder<'_> {
    fn operation(&self, operation: &Operation) -> Value {
        let mut built = json!({
            "operationId": operation.id,
            "tags": [operation.tag()],
            "summary": operation.summary,
            "description": operation.description(),
            "x-callers": operation.callers.names(),
            "responses": self.responses(operation),
        });
        let parameters = self.parameters(operation);
        if !parameters.is_empty() {
            built["parameters"] = json!(parameters);
        }
        if let Some(body) = &operation.body {
            let name = name_of(body);
            built["requestBody"] = json!({
                "required": true,
                "content": { "application/json": {
                    "schema": reference(name),
                    "examples": self.examples.of(name),
                } },
            });
        }
        if !operation.callers.have_a_token() {
            built["security"] = json!([]);
        }
        built
    }

    fn parameters(&self, operation: &Operation) -> Vec<Value> {
        let segments = operation.path.split('/').filter_map(|segment| segment.strip_prefix('{'));
        let path = segments.map(|segment| path_parameter(segment.trim_end_matches('}')));
        let query = operation.query.as_ref().map(|query| parameters(&self.schemas[name_of(query)]));
        let key = json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "Names the request, so that it can be sent again.",
            "schema": reference("Key"),
            "example": "lead_42",
        });
        let tag = json!({
            "name": "If-None-Match",
            "in": "header",
            "required": false,
            "description": "The `ETag` of an answer that the client has.",
            "schema": { "type": "string" },
        });
        let signature = json!({
            "name": "Stripe-Signature",
            "in": "header",
            "required": true,
            "description": "The time of the message, and a signature of it and the body by each secret of the webhook.",
            "schema": { "type": "string" },
            "example": "t=1764235800,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
        });
        let signature = (operation.callers == Callers::Stripe).then_some(signature);
        let is_cacheable = operation.answers.iter().any(|answer| answer.status == 304);
        let key = operation.has_key.then_some(key);
        let tag = is_cacheable.then_some(tag);
        path.chain(query.into_iter().flatten()).chain(key).chain(tag).chain(signature).collect()
    }

    fn responses(&self, operation: &Operation) -> Value {
        let answers = operation.answers.iter();
        let mut responses: BTreeMap<String, Value> = answers
            .map(|answer| (answer.status.to_string(), self.answer(operation, answer)))
            .collect();
        let mut refusals: BTreeMap<u16, Vec<&ProblemType>> = BTreeMap::new();
        for name in &operation.problems {
            let kind = self.types.iter().find(|kind| kind.name == *name);
            let kind = kind.unwrap_or_else(|| panic!("{name} is no problem type"));
            refusals.entry(kind.example.status).or_default().push(kind);
        }
        responses.extend(refusals.into_iter().map(|(status, kinds)| {
            (status.to_string(), refused(&kinds, &operation.problem_examples))
        }));
        json!(responses)
    }

    fn answer(&self, operation: &Operation, answer: &Answer) -> Value {
        let headers = header_references(answer.headers);
        let mut response = json!({ "description": answer.words, "headers": headers });
        if !operation.links.is_empty() {
            response["links"] = links(operation);
        }
        let json_body = |schema: Value, examples: Value| json!({ "application/json": { "schema": schema, "examples": examples } });
        let content = match &answer.body {
            Body::None => return response,
            Body::Json(shape) => {
                let name = name_of(shape);
                json_body(reference(name), self.examples.of(name))
            }
            Body::Named(field, shape) => {
                let example = format!("{}.{}", operation.id, answer.status);
                let examples = self.examples.named(field, name_of(shape), &example);
                json_body(named(field, reference(name_of(shape))), examples)
            }
            Body::NamedList(field, shape) => {
                let list = json!({ "type": "array", "items": reference(name_of(shape)) });
                json_body(named(field, list), self.examples.listed(field, name_of(shape)))
            }
            Body::OneOf(shapes) => {
                let schemas: Vec<Value> = shapes.iter().map(|it| reference(name_of(it))).collect();
                let examples = shapes.iter().flat_map(|it| self.examples.entries(name_of(it)));
                json_body(
                    json!({ "oneOf": schemas }),
                    examples.collect::<Map<String, Value>>().into(),
                )
            }
            Body::JsonOrCsv(shape) => {
                let mut content =
                    json_body(reference(name_of(shape)), self.examples.of(name_of(shape)));
                content["text/csv"] = self.text("text/csv");
                content
            }
            Body::Html => json!({ "text/html": self.text("text/html") }),
            Body::Object => json_body(
                json!({ "type": "object" }),
                json!({ "document": { "value": { "openapi": "3.1.0" } } }),
            ),
        };
        response["content"] = content;
        response
    }

    fn text(&self, media: &str) -> Value {
        json!({ "schema": { "type": "string" }, "examples": self.examples.of(media) })
    }
}

/// The links of an answer.
fn links(operation: &Operation) -> Value {
    let link = |link: &Link| {
        let team = [("team", "$request.path.team")];
        let parameters = team.iter().chain(link.parameters);
        let parameters: Map<String, Value> =
            parameters.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let target = json!({ "operationId": link.operation, "parameters": parameters });
        (link.operation.to_owned(), target)
    };
    operation.links.iter().map(link).collect::<Map<_, _>>().into()
}

fn path_parameter(name: &str) -> Value {
    let (kind, description, example) = match name {
        "team" => ("TeamId", "The team.", "t_1"),
        "hold" => ("Id", "The hold.", "h_8d1f0c52b7a94e6fa3c05d9e71b2468a"),
        "id" => ("Id", "The purchase.", "p_8d1f0c52b7a94e6fa3c05d9e71b2468a"),
        "account" => ("AccountId", "The product's id of the account.", "acme.example"),
        "type" => ("", "The last segment of a problem type.", "busy"),
        other => panic!("{other} is no parameter"),
    };
    let schema = if kind.is_empty() { json!({ "type": "string" }) } else { reference(kind) };
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": schema,
        "example": example,
    })
}

/// The answer with the problem types of a status, by reference if it is one type with the common example.
fn refused(kinds: &[&ProblemType], examples: &[Problem]) -> Value {
    match kinds {
        [kind] if kind.find(examples).is_none() => {
            json!({ "$ref": format!("#/components/responses/{}", kind.schema) })
        }
        kinds => refusal(kinds, examples),
    }
}

/// The answer with the problem types of a status. A type without one of the examples has the common one.
fn refusal(kinds: &[&ProblemType], examples: &[Problem]) -> Value {
    let mut schemas: Vec<Value> = kinds.iter().map(|kind| reference(&kind.schema)).collect();
    let schema = if schemas.len() == 1 { schemas.remove(0) } else { json!({ "oneOf": schemas }) };
    let headers = header_references(kinds[0].headers());
    let examples = kinds.iter().map(|kind| {
        let place = format!("#/components/examples/{}", kind.schema);
        let example = match kind.find(examples) {
            Some(example) => json!({ "value": example }),
            None => json!({ "$ref": place }),
        };
        (kind.schema.clone(), example)
    });
    let examples: Map<String, Value> = examples.collect();
    json!({
        "description": phrase(kinds[0].example.status),
        "headers": headers,
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    })
}
