//! The contract: the OpenAPI document and the reference page are generated from the types of the functions.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod document;
mod examples;
mod operation;
mod operations;
mod page;
mod problems;
mod schemas;

use std::path::Path;

use serde_json::Value;

/// Compares a generated file with the stored one. With `UPDATE_OPENAPI=1` it is written.
fn assert_current(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap();
    let path = path.file_name().unwrap().display();
    assert!(
        stored == generated,
        "{path} is stale: UPDATE_OPENAPI=1 cargo test --workspace contract"
    );
}

fn text_of(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

#[test]
fn the_stored_contract_is_current() {
    assert_current("../../shared/openapi.json", &text_of(&document::document()));
}

#[test]
fn the_stored_page_of_the_contract_is_current() {
    assert_current("src/page.html", &page::page(&document::document()));
}

/// Every example follows its schema.
#[test]
fn the_examples_of_the_contract_follow_their_schemas() {
    let document = document::document();
    let mut checked = 0;
    for operations in document["paths"].as_object().unwrap().values() {
        for operation in operations.as_object().unwrap().values() {
            let responses = operation["responses"].as_object().unwrap().values();
            let responses = responses.map(|response| resolved(&document, response));
            for body in responses.chain(operation.get("requestBody")) {
                for media in body["content"].as_object().into_iter().flat_map(|it| it.values()) {
                    checked += check_examples(&document, media);
                }
            }
        }
    }
    assert!(checked > 100, "{checked} examples");
}

/// The place of a reference, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let place = value["$ref"].as_str().map(|place| place.trim_start_matches('#'));
    place.map_or(value, |place| document.pointer(place).unwrap())
}

fn check_examples(document: &Value, media: &Value) -> usize {
    let mut schema = media["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let examples = media["examples"].as_object();
    for (name, example) in examples.into_iter().flatten() {
        let mistake = validator.validate(&resolved(document, example)["value"]).err();
        assert!(mistake.is_none(), "{name}: {mistake:?}");
    }
    examples.map_or(0, |examples| examples.len())
}
