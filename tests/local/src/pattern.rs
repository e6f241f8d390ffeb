//! Patterns by which AWS chooses what a function is told of, as `template.yaml` has them.

use serde_json::Value;

/// The pattern at a place of the template.
pub(crate) fn of_template(place: &str) -> Result<Value, engine::Failure> {
    let missing = || engine::Failure::Template(format!("{place} is missing"));
    engine::template()?.pointer(place).cloned().ok_or_else(missing)
}

/// Whether all that a pattern names is one of what it allows there.
pub(crate) fn fits(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => {
            fields.iter().all(|(name, pattern)| event.get(name).is_some_and(|it| fits(pattern, it)))
        }
        Value::Array(allowed) => allowed.iter().any(|allowed| is_one(allowed, event)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => pattern == event,
    }
}

fn is_one(allowed: &Value, event: &Value) -> bool {
    match allowed.get("prefix").and_then(Value::as_str) {
        Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
        None => allowed == event,
    }
}
