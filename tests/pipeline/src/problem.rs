//! Refusals, as the service words them.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;

use crate::failure::Failure;

/// The hold was released, or its time is over.
pub const HOLD_CLOSED: &str = "/problems/hold-closed";

/// The key belongs to another request.
pub const KEY_REUSED: &str = "/problems/idempotency-key-reused";

/// A refusal.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Problem {
    /// What kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// How long to wait at least before the same request is sent again.
    #[serde(skip)]
    pub retry_after: Duration,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldError {
    field: String,
    detail: String,
}

impl Problem {
    /// Whether the same request may go through later.
    pub const fn is_busy(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// The problem that a response tells of.
    ///
    /// # Errors
    /// [`Failure::NoAnswer`] if it breaks off.
    pub async fn of(response: Response) -> Result<Self, Failure> {
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let body = response.text().await?;
        // Whatever stands before the service may refuse a request in words of its own.
        let problem =
            serde_json::from_str(&body).unwrap_or(Self { detail: body, ..Self::default() });
        Ok(Self { status, retry_after: after.unwrap_or_default(), ..problem })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The service says {}: {}", self.status, self.detail)?;
        self.errors.iter().try_for_each(|error| write!(f, " ({}: {})", error.field, error.detail))
    }
}
