//! Problem documents (RFC 9457): the answer to a refused request.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::{Credits, Error};
use crate::lambda::allowance::FREE_REQUESTS_PER_MINUTE;

/// The `Retry-After` of a busy answer, in seconds, unless the problem has another.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The `WWW-Authenticate` of an unauthenticated answer.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The type, a relative URI.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A short text for the type.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The explanation of this occurrence.
    pub detail: String,
    /// The further fields of the type.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let problem = |status, kind, title| Self::new(status, kind, title, error.to_string());
        match error {
            Error::Invalid(errors) => {
                problem(400, "/problems/invalid-request", "Invalid request").with("errors", errors)
            }
            Error::Unauthenticated => problem(401, "/problems/unauthenticated", "Unauthenticated"),
            Error::Forbidden(_) => problem(403, "/problems/forbidden", "Forbidden"),
            Error::InsufficientCredits { balance, required } => {
                Self::insufficient_balance(*balance, *required)
            }
            Error::HoldExceeded { remaining, required } => {
                Self::insufficient_hold(*remaining, *required)
            }
            Error::PaymentFailed(reason) => {
                problem(402, "/problems/payment-failed", "Payment failed").with("reason", reason)
            }
            Error::NotFound(_) => problem(404, "/problems/not-found", "Not found"),
            Error::MethodNotAllowed => {
                problem(405, "/problems/method-not-allowed", "Method not allowed")
            }
            Error::AccountClosed => problem(409, "/problems/account-closed", "Account closed"),
            Error::EnrichmentPaused => Self::enrichment_paused(),
            Error::NothingToRestart => {
                problem(409, "/problems/nothing-to-restart", "Nothing to restart")
            }
            Error::HoldClosed(_) => problem(409, "/problems/hold-closed", "Hold closed"),
            Error::TooManyHolds => problem(409, "/problems/too-many-holds", "Too many holds"),
            Error::TooLarge | Error::FileTooLarge => {
                problem(413, "/problems/too-large", "Too large")
            }
            Error::UnsupportedMediaType => {
                problem(415, "/problems/unsupported-media-type", "Unsupported media type")
            }
            Error::KeyReused => {
                problem(422, "/problems/idempotency-key-reused", "Idempotency key reused")
            }
            Error::TooManyRequests { retry_after } => {
                problem(429, "/problems/busy", "Busy").with("retry_after", retry_after)
            }
            Error::Busy => problem(503, "/problems/busy", "Busy"),
            Error::Internal(_) => Self::internal(None),
        }
    }
}

impl Problem {
    fn new(status: u16, kind: &'static str, title: &'static str, detail: String) -> Self {
        Self { kind, title, status, detail, more: Map::new() }
    }

    fn with(mut self, field: &str, value: impl Serialize) -> Self {
        self.more.insert(field.to_owned(), json!(value));
        self
    }

    fn insufficient_balance(balance: Credits, required: Credits) -> Self {
        let shortfall = required.excess_over(balance);
        let detail = format!(
            "This costs {required} credits and the team has {balance}, so {shortfall} are missing. \
             An admin of the team can buy more."
        );
        Self::insufficient_credits(balance, required, detail)
    }

    fn insufficient_hold(remaining: Credits, required: Credits) -> Self {
        let detail = format!(
            "This costs {required} credits and the hold has {remaining} left. The charge may be made \
             without the hold."
        );
        Self::insufficient_credits(remaining, required, detail)
    }

    fn insufficient_credits(balance: Credits, required: Credits, detail: String) -> Self {
        Self::new(402, "/problems/insufficient-credits", "Insufficient credits", detail)
            .with("balance", balance)
            .with("required", required)
            .with("shortfall", required.excess_over(balance))
    }

    fn enrichment_paused() -> Self {
        let detail = "Enrichment is paused for the team: the credits did not cover an enrichment \
                      charge. While the team has credits, any person of the team, the pipeline or \
                      billing can restart it: POST /teams/{team}/enrichment/restart.";
        Self::new(409, "/problems/enrichment-paused", "Enrichment paused", detail.to_owned())
    }

    /// The problem of an internal error, without its source. The log contains the source under the same
    /// request id.
    #[must_use]
    pub fn internal(request_id: Option<&str>) -> Self {
        let detail = "An internal error occurred. The same request may be sent again.";
        let problem = Self::new(500, "about:blank", "Internal Server Error", detail.to_owned());
        match request_id {
            Some(id) => problem.with("request_id", id),
            None => problem,
        }
    }
}

/// Logs the source of an internal error. An answer does not contain it, so the code that answers calls
/// this.
pub fn log_internal(error: &Error) {
    if let Error::Internal(source) = error {
        tracing::error!(error = source as &dyn std::error::Error, "internal error");
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => _ = headers.insert(header::RETRY_AFTER, RETRY_AFTER),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = self.more.get("retry_after").and_then(Value::as_u64).unwrap_or(1);
                headers.extend(rate_limit(seconds));
            }
            StatusCode::UNAUTHORIZED => _ = headers.insert(header::WWW_AUTHENTICATE, BEARER),
            _ => {}
        }
        response
    }
}

/// The headers of an answer to a person whose allowance is used up: the allowance, and that it has a token again in
/// `seconds`.
#[must_use]
pub fn rate_limit(seconds: u64) -> [(HeaderName, HeaderValue); 3] {
    let text = |text: String| HeaderValue::try_from(text).unwrap_or(RETRY_AFTER);
    let policy = format!("\"free-requests\";q={FREE_REQUESTS_PER_MINUTE};w=60");
    [
        (header::RETRY_AFTER, HeaderValue::from(seconds)),
        (HeaderName::from_static("ratelimit-policy"), text(policy)),
        (HeaderName::from_static("ratelimit"), text(format!("\"free-requests\";r=0;t={seconds}"))),
    ]
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        log_internal(&self);
        Problem::from(&self).into_response()
    }
}
