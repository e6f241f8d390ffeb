//! Events that a rule of EventBridge passes to a function.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::json::parse;
use crate::domain::Error;

/// The fields of an event that functions read. The rule has checked its source.
#[derive(Clone, Debug, Deserialize)]
pub struct EventBridgeEvent {
    /// The detail type.
    #[serde(rename = "detail-type")]
    pub kind: String,
    detail: Box<RawValue>,
}

impl EventBridgeEvent {
    /// The event of a payload.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn parse(payload: &[u8]) -> Result<Self, Error> {
        parse(payload)
    }

    /// The detail as a `T`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn detail<T: DeserializeOwned>(&self) -> Result<T, Error> {
        parse(self.detail.get().as_bytes())
    }

    /// The error for a detail type that the function does not handle.
    #[must_use]
    pub fn unknown_kind(&self) -> Error {
        Error::invalid("detail-type", format!("`{}` is unknown", self.kind))
    }
}
