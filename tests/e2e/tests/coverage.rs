//! The report on the contract: the tests in `all` must have met every answer that the OpenAPI document declares.
//! Cargo runs them before this; a run of selected tests does not change what a complete one has recorded.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at what it did not expect"
)]

use std::collections::BTreeSet;

#[path = "all/support/document.rs"]
mod document;

use document::{Declared, document, observations, operations, resolved};
use serde_json::Value;

/// The problem types of a response. One without a problem has an empty type.
fn problem_types(document: &Value, response: &Value) -> Vec<String> {
    let response = resolved(document, response);
    let Some(problem) = response["content"].get("application/problem+json") else {
        return vec![String::new()];
    };
    let either = problem["schema"]["oneOf"].as_array();
    let schemas = either.map_or_else(|| vec![&problem["schema"]], |either| either.iter().collect());
    let kind = |schema| resolved(document, schema)["properties"]["type"]["const"].as_str().unwrap();
    schemas.into_iter().map(|schema| kind(schema).to_owned()).collect()
}

fn declared() -> BTreeSet<Declared> {
    let document = document();
    let mut declared = BTreeSet::from([
        ("unmatched".to_owned(), 404, "/problems/not-found".to_owned()),
        ("unmatched".to_owned(), 405, "/problems/method-not-allowed".to_owned()),
    ]);
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            for kind in problem_types(&document, response) {
                declared.insert((id.to_owned(), status.parse().unwrap(), kind));
            }
        }
    }
    declared
}

#[test]
fn no_declared_status_or_problem_is_untested() {
    let observed = std::fs::read_to_string(observations());
    let observed = observed.expect("run `cargo test --workspace` first: it records the answers");
    let observed: BTreeSet<&str> = observed.lines().collect();
    let line = |(operation, status, kind): &Declared| format!("{operation} {status} {kind}");
    let declared: BTreeSet<String> = declared().iter().map(line).collect();
    let missing: Vec<&String> =
        declared.iter().filter(|line| !observed.contains(line.as_str())).collect();
    println!("{} of {} answers were met", declared.len() - missing.len(), declared.len());
    assert!(missing.is_empty(), "no test met {missing:#?}");
}
