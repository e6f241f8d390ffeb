//! What a request carries, read strictly: whatever is not as the contract says is refused.

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::domain::Error;
use crate::domain::ids::{InvalidText, Key};

/// The largest body, in bytes: enough for the largest batch with the longest of texts.
pub const MAX_BODY: usize = 2 * 1024 * 1024;

/// Segments of the path.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub struct Path<T>(pub T);

/// The query's parameters.
#[derive(Clone, Copy, Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub struct Query<T>(pub T);

/// A JSON body that is not parsed yet, so that a handler can first ask who is calling.
#[derive(Clone, Debug)]
pub struct Body(Bytes);

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid("path", rejection.body_text())
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid("query", rejection.body_text())
    }
}

impl Body {
    /// The body as a `T`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path of the field that does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse(&self.0)
    }
}

/// A strict JSON object as a `T`.
///
/// # Errors
/// [`Error::Invalid`] with the path of the field that does not fit.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    // serde would take an array for a struct's fields in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid("body", "must be a JSON object"));
    }
    let mut input = serde_json::Deserializer::from_slice(json);
    let parsed = serde_path_to_error::deserialize(&mut input)
        .map_err(|error| Error::invalid(field(error.path()), error.inner().to_string()))?;
    input.end().map_err(|error| Error::invalid("body", error.to_string()))?;
    Ok(parsed)
}

/// The name of the field, as far as it is known.
fn field(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    match path.trim_end_matches(['?', '.']) {
        "" => "body".to_owned(),
        known => known.to_owned(),
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        if !is_json(request.headers()) {
            return Err(Error::UnsupportedMediaType);
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                Error::TooLarge
            } else {
                Error::invalid("body", rejection.body_text())
            }
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// The header `Idempotency-Key`.
///
/// # Errors
/// [`Error::Invalid`] if it is missing, not a key, or there more than once.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Key, Error> {
    let invalid = |detail: &str| Error::invalid("Idempotency-Key", detail);
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or_else(|| invalid("the header is missing"))?;
    if values.next().is_some() {
        return Err(invalid("the header is there more than once"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("must be UTF-8"))?;
    text.parse().map_err(|error: InvalidText| invalid(&error.to_string()))
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
    fn the_field_is_named() {
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
    fn what_is_no_object_of_ours() {
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
        assert!(twice.detail.contains("duplicate field"), "{twice:?}");
    }
}
