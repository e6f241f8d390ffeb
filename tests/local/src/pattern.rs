//! The event patterns of `template.yaml`: they select the events that AWS delivers.

use serde_json::Value;

/// Returns the part of the template at a JSON pointer.
pub(crate) fn of_template(pointer: &str) -> Result<Value, engine::Failure> {
    let missing = || engine::Failure::Template(format!("{pointer} is missing"));
    engine::template()?.pointer(pointer).cloned().ok_or_else(missing)
}

/// Returns whether each field that a pattern names has one of the values that it allows.
pub(crate) fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, pattern)| event.get(name).is_some_and(|it| matches(pattern, it))),
        Value::Array(allowed) => allowed.iter().any(|allowed| is_allowed(allowed, event)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => pattern == event,
    }
}

fn is_allowed(allowed: &Value, event: &Value) -> bool {
    match allowed.get("prefix").and_then(Value::as_str) {
        Some(prefix) => event.as_str().is_some_and(|text| text.starts_with(prefix)),
        None => allowed == event,
    }
}
