//! Refusals of the service.

use std::fmt;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;

use crate::failure::Failure;

/// The hold was released or has expired.
pub const HOLD_CLOSED: &str = "/problems/hold-closed";

/// The key belongs to another request.
pub const KEY_REUSED: &str = "/problems/idempotency-key-reused";

/// A refusal.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Problem {
    /// The type of the problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    detail: String,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// The minimum pause before a retry.
    #[serde(skip)]
    pub retry_after: Duration,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldError {
    field: String,
    detail: String,
}

impl Problem {
    /// Whether the same request may succeed later.
    pub const fn is_busy(&self) -> bool {
        self.status == 429 || self.status >= 500
    }

    /// Reads the problem of a response.
    ///
    /// # Errors
    /// [`Failure::NoAnswer`] if the response is incomplete.
    pub async fn of(response: Response) -> Result<Self, Failure> {
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let body = response.text().await?;
        // A gateway in front of the service may answer without a problem document.
        let problem =
            serde_json::from_str(&body).unwrap_or(Self { detail: body, ..Self::default() });
        Ok(Self { status, retry_after: after.unwrap_or_default(), ..problem })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The service answers {}: {}", self.status, self.detail)?;
        self.errors.iter().try_for_each(|error| write!(f, " ({}: {})", error.field, error.detail))
    }
}
