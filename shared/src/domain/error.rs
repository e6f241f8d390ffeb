//! Why something was not done. One enum for all floors, free of any transport.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;

/// One field of a request that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The field's path in the request, such as `charges[3].quantity`.
    pub field: String,
    /// What is wrong with it, in plain words.
    pub detail: String,
}

/// Why a request was refused. Nothing has changed when an operation ends with one of these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request does not follow the contract.
    #[error("the request is invalid")]
    Invalid(Vec<FieldError>),
    /// No verified claims came with the request.
    #[error("no verified token came with the request")]
    Unauthenticated,
    /// The caller may not do this; the text says who may.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The pool does not cover the cost.
    #[error("{required} credits are needed and {balance} are left")]
    InsufficientCredits {
        /// What the pool has.
        balance: Credits,
        /// What the charge costs.
        required: Credits,
    },
    /// A hold does not cover the cost of a capture.
    #[error("{required} credits are needed and the hold has {remaining}")]
    HoldExceeded {
        /// What can still be captured from the hold.
        remaining: Credits,
        /// What the charge costs.
        required: Credits,
    },
    /// The payment provider did not take the money; the text is its reason.
    #[error("the payment failed: {0}")]
    PaymentFailed(String),
    /// There is no such thing; the text names its kind.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The route exists, the method does not.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The team's account is closed for good.
    #[error("the account is closed")]
    AccountClosed,
    /// Enrichment is paused for the team, and this is enrichment.
    #[error("enrichment is paused")]
    EnrichmentPaused,
    /// Enrichment is not paused.
    #[error("enrichment is running; there is nothing to restart")]
    NothingToRestart,
    /// The hold was released, or has expired.
    #[error("the hold is {0}; a charge may be made without it")]
    HoldClosed(&'static str),
    /// The team has as many open holds as it can have.
    #[error("the team has too many open holds; release some or wait until they expire")]
    TooManyHolds,
    /// The idempotency key belongs to another request already.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// The body exceeds its limit.
    #[error("the body is too large")]
    TooLarge,
    /// A file would exceed the size or the time of an answer.
    #[error("the file would be too large; narrow the range with `from` and `to`")]
    FileTooLarge,
    /// The body is not JSON by its content type.
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    /// A person has sent too many requests that cost their team nothing.
    #[error("too many holds and charges of 0 credits; try again after {retry_after} s")]
    TooManyRequests {
        /// After how many seconds the next one is accepted.
        retry_after: u64,
    },
    /// The store was too busy to answer in time. The same request with the same key may be sent again.
    #[error("too busy; try again")]
    Busy,
    /// A fault of ours or of what we stand on; the source is for the log only.
    #[error("internal error: {0}")]
    Internal(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::internal(too_many)
    }
}

impl Error {
    /// One field that is not as it must be.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// The same error of a part of a request: its fields are told as parts of `whole`.
    #[must_use]
    pub fn nested_in(self, whole: &str) -> Self {
        let Self::Invalid(errors) = self else { return self };
        let inner = |error: FieldError| match error.field.as_str() {
            "body" => FieldError { field: whole.to_owned(), ..error },
            field => FieldError { field: format!("{whole}.{field}"), ..error },
        };
        Self::Invalid(errors.into_iter().map(inner).collect())
    }

    /// A fault whose source goes to the log.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(source.into()))
    }

    /// Whether the same request may succeed if it is sent again as it is.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Busy | Self::TooManyRequests { .. } | Self::Internal(_) => true,
            Self::Invalid(_)
            | Self::Unauthenticated
            | Self::Forbidden(_)
            | Self::InsufficientCredits { .. }
            | Self::HoldExceeded { .. }
            | Self::PaymentFailed(_)
            | Self::NotFound(_)
            | Self::MethodNotAllowed
            | Self::AccountClosed
            | Self::EnrichmentPaused
            | Self::NothingToRestart
            | Self::HoldClosed(_)
            | Self::TooManyHolds
            | Self::KeyReused
            | Self::TooLarge
            | Self::FileTooLarge
            | Self::UnsupportedMediaType => false,
        }
    }
}
