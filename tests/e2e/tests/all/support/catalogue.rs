//! Catalogues of the tests.

use std::collections::BTreeMap;

use jsonschema::validator_for;
use local::catalogue::check;
use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;

/// The file of a product that makes images.
pub const IMAGES: &str = include_str!("../../../catalogues/images.json");

/// The text of a file with the first version of the built-in catalogue and further versions.
pub fn file_with(later: impl IntoIterator<Item = Value>) -> String {
    let later: Vec<String> = later.into_iter().map(|version| version.to_string()).collect();
    engine::catalogue_file(&later)
}

/// The catalogue of that file.
pub fn catalogue_with(later: impl IntoIterator<Item = Value>) -> Catalogue {
    Catalogue::parse(&file_with(later)).unwrap()
}

/// The complete versions of a file: each later version is a merge patch (RFC 7396) of the one before.
pub fn versions(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    let mut merged = json!({});
    let versions = file["versions"].as_array().unwrap().iter();
    versions
        .map(|version| {
            patch(&mut merged, version);
            merged.clone()
        })
        .collect()
}

fn patch(target: &mut Value, changes: &Value) {
    let Some(changes) = changes.as_object() else {
        *target = changes.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            target.remove(name);
        } else {
            patch(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// The fields of an object by name.
pub fn fields(value: &Value) -> BTreeMap<&String, &Value> {
    value.as_object().unwrap().iter().collect()
}

/// The schema of catalogue files.
const SCHEMA: &str = include_str!("../../../../../shared/catalogue.schema.json");

/// The mistakes in a text, one per line.
pub fn mistakes(text: &str) -> String {
    let mistakes: Vec<String> = check(text).iter().map(ToString::to_string).collect();
    mistakes.join("\n")
}

/// Whether a text follows the schema.
pub fn follows_schema(text: &str) -> bool {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    serde_json::from_str(text).is_ok_and(|file| validator_for(&schema).unwrap().is_valid(&file))
}
