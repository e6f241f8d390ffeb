//! The answers that the OpenAPI document declares.

use std::path::PathBuf;

use serde_json::{Map, Value};

/// An answer of an operation: its id, the status, and the problem type, or an empty text.
pub type Declared = (String, u16, String);

/// The file with the answers that the tests have met, one per line.
pub fn observations() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/observed-answers"))
}

/// The document.
pub fn document() -> Value {
    serde_json::from_str(panel::DOCUMENT).unwrap()
}

/// The operations of the document with their methods and paths.
pub fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().into_iter().flat_map(Map::iter);
        operations.map(move |(method, operation)| (method, path, operation))
    })
}

/// The place of a reference, or the value itself.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let place = value["$ref"].as_str().map(|place| place.trim_start_matches('#'));
    place.map_or(value, |place| document.pointer(place).unwrap())
}
