//! JSON objects, parsed with the path of an invalid field.

use std::fmt::Display;

use serde::de::DeserializeOwned;

use crate::domain::Error;

/// A JSON object as a `T`. Text after the object is an error.
///
/// # Errors
/// [`Error::Invalid`] with the path of the invalid field.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    // serde would accept an array of the fields in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid("body", "must be a JSON object"));
    }
    let mut input = serde_json::Deserializer::from_slice(json);
    let parsed = serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let text = error.inner().to_string();
        // Beside the name of the field, the place of its value is of no use.
        let before_place = text.rsplit_once(" at line ").filter(|_| error.inner().is_data());
        let text = before_place.map_or(text.as_str(), |(text, _)| text);
        Error::invalid(field(error.path(), error.inner(), "body"), plain(text))
    })?;
    input.end().map_err(|error| Error::invalid("body", error.to_string()))?;
    Ok(parsed)
}

/// The path of the field that an error of serde is about; `parent` if the error names none.
pub(crate) fn field(
    path: &serde_path_to_error::Path,
    error: &impl Display,
    parent: &str,
) -> String {
    let path = path.to_string();
    let path = path.trim_end_matches(['?', '.']);
    let error = error.to_string();
    // The path is that of the object that lacks or repeats the field; the message names the field.
    let named = ["missing field `", "duplicate field `"];
    let named = named.iter().find_map(|prefix| error.strip_prefix(prefix)?.split('`').next());
    match (path, named) {
        ("", Some(named)) => named.to_owned(),
        ("", None) => parent.to_owned(),
        (path, Some(named)) => format!("{path}.{named}"),
        (path, None) => path.to_owned(),
    }
}

/// The text of an error of serde without names of Rust types.
pub(crate) fn plain(text: &str) -> String {
    match text {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            return "must be a whole number from 0 on".to_owned();
        }
        "number too large to fit in target type" => return "is too large".to_owned(),
        _ => {}
    }
    let Some((found, expected)) = text.rsplit_once("expected ") else { return text.to_owned() };
    let kind = match expected.split(' ').next().unwrap_or_default() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 on",
        "struct" | "map" => "an object",
        _ if expected == "a sequence" => "an array",
        _ => expected,
    };
    format!("{found}expected {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FieldError;
    use crate::domain::charge::ChargeRequest;

    fn refused(json: &str) -> FieldError {
        match parse::<ChargeRequest>(json.as_bytes()) {
            Err(Error::Invalid(errors)) => errors[0].clone(),
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn names_the_invalid_field() {
        for (json, field) in [
            (r#"{"action":"sms","quantity":1.5}"#, "quantity"),
            (r#"{"action":"sms","quantity":1.0}"#, "quantity"),
            (r#"{"action":"sms","quantity":-1}"#, "quantity"),
            (r#"{"action":"sms","quantity":18446744073709551616}"#, "quantity"),
            (r#"{"action":"sms","quantity":"1"}"#, "quantity"),
            (r#"{"action":"sms","quantity":null}"#, "quantity"),
            (r#"{"action":7}"#, "action"),
            (r#"{"action":"sms","colour":"red"}"#, "colour"),
            (r#"{"action":"sms","reference":""}"#, "reference"),
        ] {
            assert_eq!(refused(json).field, field, "{json}");
        }
    }

    #[test]
    fn states_mistakes_without_rust_types_and_places() {
        for (json, detail) in [
            (r#"{"action":"sms","quantity":1.5}"#, "expected a whole number from 0 on"),
            (r#"{"action":"sms","quantity":-1}"#, "expected a whole number from 0 on"),
            (r#"{"action":7}"#, "expected a string"),
            (r#"{"quantity":1}"#, "missing field `action`"),
        ] {
            let stated = refused(json).detail;
            assert!(stated.ends_with(detail), "{json}: {stated}");
        }
        assert_eq!(plain("invalid digit found in string"), "must be a whole number from 0 on");
        let named = refused(r#"{"x at line y":1}"#);
        assert!(named.detail.contains("`x at line y`"), "{named:?}");
    }

    #[test]
    fn rejects_anything_but_one_object() {
        for json in [
            "",
            "{",
            "[]",
            r#"[null,null,"sms"]"#,
            "null",
            r#"{"action":"sms"} x"#,
            r#"{"action":"sms","quantity":NaN}"#,
        ] {
            refused(json);
        }
        let twice = refused(r#"{"action":"sms","action":"sms"}"#);
        assert_eq!(twice.field, "action");
        assert!(twice.detail.contains("duplicate field"), "{twice:?}");
    }
}
