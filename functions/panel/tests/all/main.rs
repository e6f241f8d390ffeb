//! The contract: the OpenAPI document and the reference page are generated from the types of the functions.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod breaking;
mod breaking_cases;
mod document;
mod examples;
mod operation;
mod operations;
mod page;
mod problems;
mod schemas;

use std::path::Path;

use serde_json::Value;

const DOCUMENT: &str = "../../shared/openapi.json";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Compares a generated file with the stored one. With `UPDATE_OPENAPI=1` it is written.
fn assert_current(path: &str, generated: &str) {
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::write(place, generated).unwrap();
    }
    let update = "UPDATE_OPENAPI=1 cargo test --workspace --test all -- the_stored";
    assert!(read(path) == generated, "{path} is stale: {update}");
}

fn text_of(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// A breaking change needs a higher major version before it is stored.
#[test]
fn the_stored_contract_and_its_page_are_current() {
    let (stored, generated) = (read(DOCUMENT), document::document());
    let breaking = breaking::breaking_changes(&serde_json::from_str(&stored).unwrap(), &generated);
    assert!(breaking.is_empty(), "clients break, so raise the major version: {breaking:#?}");
    assert_current(DOCUMENT, &text_of(&generated));
    assert_current("src/page.html", &page::page(&generated));
}

/// The place of a reference, or the value itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let place = value["$ref"].as_str().map(|place| place.trim_start_matches('#'));
    place.map_or(value, |place| document.pointer(place).unwrap())
}
