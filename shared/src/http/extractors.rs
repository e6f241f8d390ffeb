//! Extractors for the parts of a request. They reject unknown and invalid fields.

use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use jiff::civil::Date;
use mime::Mime;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::domain::Error;
use crate::domain::ids::{InvalidText, Key};
use crate::lambda::json::{field, parse, plain};

/// The largest body in bytes. The largest batch with texts of maximal length fits.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The parameters in the path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

/// The parameters in the query.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

/// A query without parameters.
pub type NoQuery = Query<NoParameters>;

/// No parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

/// A body without content, or with an empty JSON object, for routes that take no body.
#[derive(Clone, Copy, Debug)]
pub struct NoBody;

/// A JSON body that is not parsed yet. A handler checks the caller's permissions first.
#[derive(Clone, Debug)]
pub struct Body(Bytes);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let segments = RawPathParams::from_request_parts(parts, state).await;
        // The text names the segment in backticks.
        let segments = segments.map_err(|error| {
            let text = error.body_text();
            let segment = text.split('`').nth(1).unwrap_or("path");
            Error::invalid(segment, "must be UTF-8")
        })?;
        let input = MapDeserializer::<_, serde::de::value::Error>::new(segments.iter());
        parsed(input, "path").map(Self)
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        let input = serde_urlencoded::Deserializer::new(pairs);
        parsed(input, "query").map(Self)
    }
}

/// Parses parameters; `place` is the field of a mistake that is in none of them.
fn parsed<'de, T: DeserializeOwned, D: Deserializer<'de>>(input: D, place: &str) -> Result<T, Error>
where
    D::Error: Display,
{
    serde_path_to_error::deserialize(input).map_err(|error| {
        let text = error.inner().to_string();
        Error::invalid(field(error.path(), error.inner(), place), plain(&text))
    })
}

/// A day in a parameter.
///
/// # Errors
/// That of the deserializer for anything but a date.
pub fn day<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Date>, D::Error> {
    let text = String::deserialize(input)?;
    // The length excludes a date with a time.
    let day = Some(text).filter(|text| text.len() == "2026-11-03".len());
    let day = day.and_then(|day| day.parse().ok());
    day.map(Some).ok_or_else(|| D::Error::custom("must be a date like 2026-11-03"))
}

impl Body {
    /// The body as a `T`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the path of the invalid field.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse(&self.0)
    }

    /// The body as it was sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        if !is_plain_json(request.headers()) {
            return Err(Error::UnsupportedMediaType);
        }
        bytes(request, state).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let body = bytes(request, state).await?;
        if !body.trim_ascii().is_empty() {
            parse::<NoParameters>(&body)?;
        }
        Ok(Self)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
            Error::TooLarge
        } else {
            Error::invalid("body", rejection.body_text())
        }
    })
}

/// Whether the headers declare JSON in UTF-8 without a content encoding.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let is_identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    let is_encoded = !encodings.iter().all(is_identity);
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let media_type = types.next().filter(|_| types.next().is_none());
    let media_type: Option<Mime> = media_type.and_then(|value| value.to_str().ok()?.parse().ok());
    let is_utf8 = |charset: mime::Name<'_>| charset == mime::UTF_8;
    !is_encoded
        && media_type.is_some_and(|media_type| {
            media_type.essence_str() == mime::APPLICATION_JSON
                && media_type.get_param(mime::CHARSET).is_none_or(is_utf8)
        })
}

/// The key in the header `Idempotency-Key`.
///
/// # Errors
/// [`Error::Invalid`] if the header is missing, repeated, or not a valid key.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Key, Error> {
    let invalid = |detail: &str| Error::invalid("Idempotency-Key", detail);
    let mut values = headers.get_all("idempotency-key").iter();
    let value = values.next().ok_or_else(|| invalid("the header is missing"))?;
    if values.next().is_some() {
        return Err(invalid("the header is repeated"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| invalid("must be UTF-8"))?;
    text.parse().map_err(|error: InvalidText| invalid(&error.to_string()))
}
