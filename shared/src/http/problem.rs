//! Problem documents (RFC 9457): what a refusal looks like to a caller.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::{Credits, Error};

/// After how many seconds a caller may try again when we were too busy.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// How a caller authenticates.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// A refusal as a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind of problem it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The kind in plain words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in plain words.
    pub detail: String,
    /// Further fields of this kind.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let detail = error.to_string();
        let (status, kind, title, more) = match error {
            Error::Invalid(errors) => {
                (400, "/problems/invalid-request", "Invalid request", json!({ "errors": errors }))
            }
            Error::Unauthenticated => {
                (401, "/problems/unauthenticated", "Unauthenticated", json!({}))
            }
            Error::Forbidden(_) => (403, "/problems/forbidden", "Forbidden", json!({})),
            Error::InsufficientCredits { balance, required } => {
                let shortfall = required.excess_over(*balance);
                let detail = format!(
                    "This costs {required} credits and the team has {balance}, so {shortfall} are \
                     missing. An admin of the team can buy more."
                );
                return Self::insufficient_credits(*balance, *required, detail);
            }
            Error::HoldExceeded { remaining, required } => {
                let detail = format!(
                    "This costs {required} credits and the hold has {remaining} left. The charge may \
                     be made without the hold."
                );
                return Self::insufficient_credits(*remaining, *required, detail);
            }
            Error::PaymentFailed(reason) => {
                (402, "/problems/payment-failed", "Payment failed", json!({ "reason": reason }))
            }
            Error::NotFound(_) => (404, "/problems/not-found", "Not found", json!({})),
            Error::MethodNotAllowed => {
                (405, "/problems/method-not-allowed", "Method not allowed", json!({}))
            }
            Error::AccountClosed => (409, "/problems/account-closed", "Account closed", json!({})),
            Error::EnrichmentPaused => {
                let detail = "Enrichment is paused for the team: an enrichment charge was refused that \
                              the credits did not cover. While the team has credits, any person of \
                              the team, the pipeline or billing can restart it: POST \
                              /teams/{team}/enrichment/restart.";
                let kind = "/problems/enrichment-paused";
                return Self::new(409, kind, "Enrichment paused", detail.to_owned(), json!({}));
            }
            Error::NothingToRestart => {
                (409, "/problems/nothing-to-restart", "Nothing to restart", json!({}))
            }
            Error::HoldClosed(_) => (409, "/problems/hold-closed", "Hold closed", json!({})),
            Error::TooManyHolds => (409, "/problems/too-many-holds", "Too many holds", json!({})),
            Error::TooLarge | Error::FileTooLarge => {
                (413, "/problems/too-large", "Too large", json!({}))
            }
            Error::UnsupportedMediaType => {
                (415, "/problems/unsupported-media-type", "Unsupported media type", json!({}))
            }
            Error::KeyReused => {
                (422, "/problems/idempotency-key-reused", "Idempotency key reused", json!({}))
            }
            Error::TooManyRequests { retry_after } => {
                (429, "/problems/busy", "Busy", json!({ "retry_after": retry_after }))
            }
            Error::Busy => (503, "/problems/busy", "Busy", json!({})),
            Error::Internal(source) => {
                tracing::error!(error = source as &dyn std::error::Error, "internal error");
                return Self::internal(None);
            }
        };
        Self::new(status, kind, title, detail, more)
    }
}

impl Problem {
    fn new(
        status: u16,
        kind: &'static str,
        title: &'static str,
        detail: String,
        more: Value,
    ) -> Self {
        let more = match more {
            Value::Object(more) => more,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        Self { kind, title, status, detail, more }
    }

    fn insufficient_credits(balance: Credits, required: Credits, detail: String) -> Self {
        let shortfall = required.excess_over(balance);
        let more = json!({ "balance": balance, "required": required, "shortfall": shortfall });
        Self::new(402, "/problems/insufficient-credits", "Insufficient credits", detail, more)
    }

    /// A fault of ours. What it was stays in the log, to be found by the request id.
    #[must_use]
    pub fn internal(request_id: Option<&str>) -> Self {
        let detail =
            "Something went wrong on our side. The same request may be sent again.".to_owned();
        let more = request_id.map_or_else(|| json!({}), |id| json!({ "request_id": id }));
        Self::new(500, "about:blank", "Internal Server Error", detail, more)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        let advice = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, RETRY_AFTER)),
            StatusCode::TOO_MANY_REQUESTS => {
                let seconds = self.more.get("retry_after").and_then(Value::as_u64);
                Some((header::RETRY_AFTER, seconds.map_or(RETRY_AFTER, HeaderValue::from)))
            }
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, BEARER)),
            _ => None,
        };
        response.headers_mut().extend(advice);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(&self).into_response()
    }
}
