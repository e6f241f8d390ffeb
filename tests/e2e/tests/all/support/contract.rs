//! Checks every request and every answer against the OpenAPI document.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::api::Answer;
use super::document::{Declared, document, observations, resolved};

/// A request, as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
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
    if (200..400).contains(&answer.status) {
        check_request(path, sent, operation, answer);
    }
    observe(operation["operationId"].as_str().unwrap(), answer);
}

#[track_caller]
fn check_answer(path: &str, sent: &Sent<'_>, operation: &Value, answer: &Answer) {
    let response = operation["responses"].get(answer.status.to_string());
    let response = response.unwrap_or_else(|| panic!("undeclared status of {sent:?}: {answer:?}"));
    let response = resolved(&DOCUMENT, response);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let value = answer.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("{sent:?} lacks {name}: {answer:?}"));
        let schema = &resolved(&DOCUMENT, header)["schema"];
        validate(&format!("header {name}"), schema, &typed(schema, value.to_str().unwrap()));
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
    let segments = path.split('/').zip(sent.path.split('/'));
    let segments = segments.filter_map(|(part, text)| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        Some((name.to_owned(), decoded(text)))
    });
    let place = format!("{path} {}", sent.method);
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    check_parameters(&format!("{place} path"), "path", parameters, &segments.collect());
    check_parameters(&format!("{place} query"), "query", parameters, &pairs(sent.query));
    let headers = parameters.iter().filter(|parameter| parameter["in"] == "header");
    let headers = headers.filter_map(|parameter| {
        let name = parameter["name"].as_str().unwrap();
        let value = sent.headers.get(name)?;
        Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
    });
    check_parameters(&format!("{place} header"), "header", parameters, &headers.collect());
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
        validate(&format!("{place} request"), schema, &accepted);
    }
}

/// Asserts that the parameters of a kind (`header`, `path`, `query`) are declared ones with valid values, and that none is
/// missing.
#[track_caller]
fn check_parameters(place: &str, kind: &str, declared: &[Value], given: &BTreeMap<String, String>) {
    let declared = declared.iter().filter(|parameter| parameter["in"] == kind);
    let declared: BTreeMap<&str, &Value> =
        declared.map(|parameter| (parameter["name"].as_str().unwrap(), parameter)).collect();
    for (name, text) in given {
        let parameter = declared.get(name.as_str());
        let parameter = parameter.unwrap_or_else(|| panic!("{place} {name} is undeclared"));
        let schema = &parameter["schema"];
        validate(&format!("{place} {name}"), schema, &typed(schema, text));
    }
    for (name, parameter) in declared {
        let is_missing = parameter["required"] == true && !given.contains_key(name);
        assert!(!is_missing, "{place} {name} is missing");
    }
}

/// The names and the values of a query.
fn pairs(query: &str) -> BTreeMap<String, String> {
    let mut url = Url::parse("http://api.example").unwrap();
    url.set_query(Some(query));
    url.query_pairs().into_owned().collect()
}

/// A segment of a path, decoded.
fn decoded(segment: &str) -> String {
    let value = segment.replace('+', "%2B").replace('&', "%26");
    pairs(&format!("segment={value}")).remove("segment").unwrap()
}

/// The value of a text: an integer or a Boolean, if the schema has that type.
fn typed(schema: &Value, text: &str) -> Value {
    let value = match resolved(&DOCUMENT, schema)["type"].as_str() {
        Some("integer") => text.parse().ok().map(|number: i64| json!(number)),
        Some("boolean") => text.parse().ok().map(|boolean: bool| json!(boolean)),
        _ => None,
    };
    value.unwrap_or_else(|| json!(text))
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
