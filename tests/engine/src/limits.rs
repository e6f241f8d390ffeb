//! The limits of DynamoDB that the engine does not check itself. The figures are from the Developer
//! Guide, "Constraints in Amazon DynamoDB".

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use dynoxide::types::{AttributeValue, validate_dynamo_number};
use serde_json::{Map, Value};

/// The kinds of expressions, by their names in a request.
const KINDS: [&str; 5] = [
    "UpdateExpression",
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
    "ProjectionExpression",
];

/// The maximum of operators and functions in an expression.
const OPERATORS: usize = 300;

/// The maximum of bytes of an alias such as `#name` or `:value`.
const ALIAS: usize = 255;

/// The maximum of bytes of all aliases of a request with their names and values.
const ALIASES: usize = 2 * 1_024 * 1_024;

/// The operators that are words, and the functions. BETWEEN is counted by its AND.
const WORDS: [&str; 12] = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
    "if_not_exists",
    "list_append",
];

static LONGEST: Mutex<BTreeMap<&str, usize>> = Mutex::new(BTreeMap::new());

/// The bytes of the longest expression of each kind among all requests of this process.
#[must_use]
pub fn longest_expressions() -> BTreeMap<&'static str, usize> {
    LONGEST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The message of DynamoDB's `ValidationException` for a request with this JSON body.
#[must_use]
pub fn violation(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    invalid_number(&body).or_else(|| parts(&body).into_iter().find_map(violation_of_part))
}

/// The objects that contain expressions: each leg of a transaction, or the whole request.
fn parts(body: &Value) -> Vec<&Value> {
    match body.get("TransactItems").and_then(Value::as_array) {
        Some(legs) => legs.iter().filter_map(Value::as_object).flat_map(Map::values).collect(),
        None => vec![body],
    }
}

fn violation_of_part(part: &Value) -> Option<String> {
    let mut expressions = KINDS.iter().filter_map(|kind| Some((*kind, part.get(kind)?.as_str()?)));
    expressions.clone().for_each(|(kind, expression)| record(kind, expression.len()));
    too_large_aliases(part).or_else(|| {
        let (kind, _) = expressions.find(|(kind, text)| operators(kind, text) > OPERATORS)?;
        // DynamoDB stops counting at the first excess operator.
        Some(format!(
            "Invalid {kind}: The expression contains too many operators; operator count: 301"
        ))
    })
}

fn record(kind: &'static str, length: usize) {
    let mut longest = LONGEST.lock().unwrap_or_else(PoisonError::into_inner);
    let longest = longest.entry(kind).or_default();
    *longest = length.max(*longest);
}

fn operators(kind: &str, expression: &str) -> usize {
    // The `=` of an update assigns.
    let symbols = if kind == "UpdateExpression" { "+-" } else { "<=>" };
    let symbols = expression.split(|char| !symbols.contains(char)).filter(|run| !run.is_empty());
    let words =
        expression.split(|char: char| !char.is_ascii_alphanumeric() && !"_#:".contains(char));
    let words = words.filter(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)));
    symbols.count().saturating_add(words.count())
}

fn too_large_aliases(part: &Value) -> Option<String> {
    let mut total: usize = 0;
    for field in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        for (alias, value) in part.get(field).and_then(Value::as_object).into_iter().flatten() {
            if alias.len() > ALIAS {
                return Some(format!(
                    "{field} contains invalid key: The expression attribute map contains a key \
                     that is too long; size of key: {}",
                    alias.len()
                ));
            }
            total = total.saturating_add(alias.len()).saturating_add(size(value));
        }
    }
    (total > ALIASES).then(|| {
        "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size"
            .to_owned()
    })
}

/// The size of a name or of an attribute value.
fn size(value: &Value) -> usize {
    match value.as_str() {
        Some(name) => name.len(),
        None => {
            serde_json::from_value(value.clone()).map_or(0, |value: AttributeValue| value.size())
        }
    }
}

/// Finds a number with too many digits or out of range anywhere in a request. The engine's HTTP
/// server rejects it too; for the engine's request types it is a JSON error.
fn invalid_number(value: &Value) -> Option<String> {
    if let Some(values) = value.as_array() {
        return values.iter().find_map(invalid_number);
    }
    value.as_object()?.iter().find_map(|(name, value)| match name.as_str() {
        // An attribute may also have this name; its value is an object.
        "N" if value.is_string() => invalid_digits(value),
        "NS" if value.is_array() => value.as_array()?.iter().find_map(invalid_digits),
        _ => invalid_number(value),
    })
}

fn invalid_digits(number: &Value) -> Option<String> {
    validate_dynamo_number(number.as_str()?).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_symbols_words_and_functions() {
        let conditions = [
            ("a = :v", 1),
            ("a<>:v", 1),
            ("a BETWEEN :v AND :w", 1),
            ("#or IN (:and, :not)", 1),
            ("not(a >= :v OR size(b) < :v)", 5),
            ("attribute_exists(a) and begins_with(a, :v)", 3),
        ];
        for (condition, expected) in conditions {
            assert_eq!(operators("ConditionExpression", condition), expected, "{condition}");
        }
        let update = "SET a = :v, b = b + :v, c = if_not_exists(c, :v) - :w REMOVE d";
        assert_eq!(operators("UpdateExpression", update), 3);
    }

    #[test]
    fn the_longest_expression_of_a_kind_is_kept() {
        for expression in ["a", "a, bc", "a, b"] {
            let body = format!(r#"{{"ProjectionExpression":"{expression}"}}"#);
            assert_eq!(violation(body.as_bytes()), None);
        }
        let legs = r#"{"TransactItems":[{"Delete":{"ConditionExpression":"a = b"}}]}"#;
        assert_eq!(violation(legs.as_bytes()), None);
        let longest = longest_expressions();
        assert_eq!(longest.get("ProjectionExpression"), Some(&5));
        assert_eq!(longest.get("ConditionExpression"), Some(&5));
    }

    #[test]
    fn a_number_is_found_at_any_depth() {
        let number = "1".repeat(39);
        for value in [
            format!(r#"{{"N":"{number}"}}"#),
            format!(r#"{{"NS":["1","{number}"]}}"#),
            format!(r#"{{"M":{{"N":{{"L":[{{"N":"{number}"}}]}}}}}}"#),
        ] {
            let body = format!(r#"{{"Item":{{"N":{value}}}}}"#);
            assert!(violation(body.as_bytes()).is_some(), "{body}");
        }
        let attributes = r#"{"Item":{"N":{"S":"no number"},"NS":{"SS":["none"]}}}"#;
        assert_eq!(violation(attributes.as_bytes()), None);
    }
}
