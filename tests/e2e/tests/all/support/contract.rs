//! Checks every request and every answer against the OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::api::Answer;
use super::document::{Declared, document, observations, resolved};

/// A request, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub has_key: bool,
    pub body: &'a [u8],
}

/// The document, with schemas that permit no further fields, so that an undeclared field is found.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = document();
    close(&mut document);
    document
});

static VALIDATORS: LazyLock<Mutex<BTreeMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// The answers that this process has met. A run of all tests also writes them to a file.
static OBSERVED: LazyLock<Mutex<(BTreeSet<Declared>, Option<File>)>> = LazyLock::new(|| {
    // An argument selects tests.
    let is_complete = std::env::args().len() == 1;
    let file = is_complete.then(|| File::create(observations()).unwrap());
    Mutex::new((BTreeSet::new(), file))
});

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("properties").is_some_and(Value::is_object) {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a path of a request is one of the document.
fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(part, text)| {
            if part.starts_with('{') { !text.is_empty() } else { *part == text }
        })
}

/// The template and the operations of a path. A template without a parameter in a place precedes one that has.
pub fn path_item(path: &str) -> Option<(&'static String, &'static Map<String, Value>)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let known = paths.filter(|(template, _)| matches(template, path));
    let (template, item) = known.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, item.as_object().unwrap()))
}

/// Asserts that the document declares an answer, and that a request which was accepted follows it.
#[track_caller]
pub fn check(sent: &Sent<'_>, answer: &Answer) {
    // An answer to HEAD has no body.
    if sent.method == "HEAD" {
        return;
    }
    let Some((path, operations)) = path_item(sent.path) else {
        if !sent.path.starts_with("/dev/") {
            assert_eq!(answer.status, 404, "the document lacks {sent:?}: {answer:?}");
            observe("unmatched", answer);
        }
        return;
    };
    let Some(operation) = operations.get(&sent.method.to_lowercase()) else {
        assert!([404, 405].contains(&answer.status), "the document lacks {sent:?}: {answer:?}");
        observe("unmatched", answer);
        return;
    };
    check_answer(path, sent, operation, answer);
    if (200..300).contains(&answer.status) {
        check_request(path, sent, operation, answer);
    }
    observe(operation["operationId"].as_str().unwrap(), answer);
}

#[track_caller]
fn check_answer(path: &str, sent: &Sent<'_>, operation: &Value, answer: &Answer) {
    let response = operation["responses"].get(answer.status.to_string());
    let response = response.unwrap_or_else(|| panic!("undeclared status of {sent:?}: {answer:?}"));
    let response = resolved(&DOCUMENT, response);
    for name in response["headers"].as_object().into_iter().flat_map(Map::keys) {
        assert!(answer.headers.contains_key(name.as_str()), "{sent:?} lacks {name}: {answer:?}");
    }
    let Some(content) = response["content"].as_object() else {
        assert_eq!(answer.text, "", "{sent:?}");
        return;
    };
    let media = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap();
    let body = content.get(media).unwrap_or_else(|| panic!("{media} of {sent:?}: {answer:?}"));
    if media.ends_with("json") {
        let place = format!("{path} {} {}", sent.method, answer.status);
        validate(&place, &body["schema"], &answer.json());
    }
}

#[track_caller]
fn check_request(path: &str, sent: &Sent<'_>, operation: &Value, answer: &Answer) {
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let names = |place: &str, is_required: bool| -> BTreeSet<&str> {
        let there = parameters.iter().filter(|parameter| parameter["in"] == place);
        let there = there.filter(|parameter| !is_required || parameter["required"] == true);
        there.map(|parameter| parameter["name"].as_str().unwrap()).collect()
    };
    let pairs = sent.query.split('&').filter(|pair| !pair.is_empty());
    let given: BTreeSet<&str> = pairs.map(|pair| pair.split('=').next().unwrap()).collect();
    assert!(given.is_subset(&names("query", false)), "an undeclared parameter of {sent:?}");
    assert!(names("query", true).is_subset(&given), "{sent:?} lacks a required parameter");
    let needs_key = names("header", true).contains("Idempotency-Key");
    assert!(sent.has_key || !needs_key, "{sent:?} was accepted without a key");
    if let Some(body) = operation.get("requestBody") {
        let mut accepted: Value = serde_json::from_slice(sent.body).unwrap();
        if let Some(charges) = accepted.get_mut("charges").and_then(Value::as_array_mut) {
            // The refused charges of a batch may have another form.
            let results = answer.json()["results"].take();
            let mut results = results.as_array().unwrap().iter();
            charges.retain(|_| results.next().unwrap()["status"] != "refused");
            if charges.is_empty() {
                return;
            }
        }
        let schema = &body["content"]["application/json"]["schema"];
        validate(&format!("{path} {} request", sent.method), schema, &accepted);
    }
}

/// Validates a value. The validator of a place is built once.
#[track_caller]
pub fn validate(place: &str, schema: &Value, value: &Value) {
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(place.to_owned()).or_insert_with(|| {
        let mut schema = schema.clone();
        schema["components"] = DOCUMENT["components"].clone();
        jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
    });
    let mistakes: Vec<String> = validator
        .iter_errors(value)
        .map(|mistake| format!("{}: {mistake}", mistake.instance_path()))
        .collect();
    drop(validators);
    assert!(mistakes.is_empty(), "{place}: {mistakes:?} in {value}");
}

fn observe(operation: &str, answer: &Answer) {
    let is_problem =
        answer.headers.get("content-type").is_some_and(|it| it == "application/problem+json");
    let kind =
        if is_problem { answer.json()["type"].as_str().unwrap().to_owned() } else { String::new() };
    let declared = (operation.to_owned(), answer.status, kind);
    let mut observed = OBSERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let (known, file) = &mut *observed;
    if known.insert(declared.clone())
        && let Some(file) = file
    {
        let (operation, status, kind) = declared;
        writeln!(file, "{operation} {status} {kind}").unwrap();
    }
}
