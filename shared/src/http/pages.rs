//! The parameters of lists: the size of a page, and the cursor after which it begins.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::Error;

/// The most items of a page.
pub const LIMIT_MAX: usize = 200;

/// The items of a page if the request names no limit.
#[must_use]
pub const fn default_limit() -> usize {
    50
}

/// Checks the limit of a request.
///
/// # Errors
/// [`Error::Invalid`] if it is not 1 to [`LIMIT_MAX`].
pub fn check_limit(limit: usize) -> Result<(), Error> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid("limit", format!("must be 1 to {LIMIT_MAX}")))
}

/// The cursor of a position.
pub fn encode(position: impl Display) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

/// The position of a cursor.
///
/// # Errors
/// [`Error::Invalid`] if it is not a cursor of this list.
pub fn decode<T: FromStr>(cursor: &str) -> Result<T, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let position = text.and_then(|text| text.parse().ok());
    position.ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list"))
}
