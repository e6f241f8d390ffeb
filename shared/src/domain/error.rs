//! The errors of the domain and of everything above it. One match in `http` turns an error into a problem document.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;

/// An invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field's path in the request, such as `charges[3].quantity`.
    pub field: String,
    /// The rule that it breaks.
    pub detail: String,
}

/// A kind of thing that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A route of the API.
    Route,
    /// A team.
    Team,
    /// A subscription.
    Subscription,
    /// A cycle of a subscription.
    Cycle,
    /// A hold.
    Hold,
    /// A purchase.
    Purchase,
    /// A monitored account.
    MonitoredAccount,
    /// A problem type.
    Problem,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Route => "route",
            Self::Team => "team",
            Self::Subscription => "subscription",
            Self::Cycle => "cycle",
            Self::Hold => "hold",
            Self::Purchase => "purchase",
            Self::MonitoredAccount => "monitored account",
            Self::Problem => "problem type",
        })
    }
}

/// The reason why an operation failed. After [`Error::Busy`] and [`Error::Internal`] the operation may have been
/// applied: an answer of DynamoDB may be lost. The same request with the same key then returns its result. After every
/// other error the operation has changed no credits. A first refusal for missing credits is stored in the pool, and it
/// may pause enrichment.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request does not follow the contract.
    #[error("the request is invalid")]
    Invalid(Vec<FieldError>),
    /// The request has no verified claims.
    #[error("the request has no verified token")]
    Unauthenticated,
    /// The caller is not permitted to do this. The text names those that are.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The pool does not cover the cost.
    #[error("{required} credits are needed and {balance} are left")]
    InsufficientCredits {
        /// The credits that are left.
        balance: Credits,
        /// The cost in credits.
        required: Credits,
    },
    /// A hold does not cover the cost of a capture.
    #[error("{required} credits are needed and the hold has {remaining}")]
    HoldExceeded {
        /// The credits that remain in the hold.
        remaining: Credits,
        /// The cost in credits.
        required: Credits,
    },
    /// The payment provider declined the payment, with this reason.
    #[error("the payment failed: {0}")]
    PaymentFailed(String),
    /// The resource does not exist.
    #[error("there is no such {0}")]
    NotFound(Resource),
    /// The route exists, the method does not.
    #[error("this method is not allowed here")]
    MethodNotAllowed,
    /// The team's account is closed. It is never opened again.
    #[error("the account is closed")]
    AccountClosed,
    /// The charge is enrichment, and enrichment is paused for the team.
    #[error("enrichment is paused")]
    EnrichmentPaused,
    /// Enrichment is not paused.
    #[error("enrichment is running; there is nothing to restart")]
    NothingToRestart,
    /// The hold was released, or has expired. The text is its status.
    #[error("the hold is {0}; a charge may be made without it")]
    HoldClosed(&'static str),
    /// The team has the largest permitted number of open holds.
    #[error("the team has too many open holds; release some or wait until they expire")]
    TooManyHolds,
    /// Another request has used the idempotency key.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// The body exceeds its limit.
    #[error("the body is too large")]
    TooLarge,
    /// A file would exceed the size or the time of a response.
    #[error("the file would be too large; narrow the range with `from` and `to`")]
    FileTooLarge,
    /// The content type of the body is not JSON.
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    /// A person has sent too many requests that cost their team no credits.
    #[error("too many holds and charges of 0 credits; try again after {retry_after} s")]
    TooManyRequests {
        /// The seconds until the next request is accepted.
        retry_after: u64,
    },
    /// The store was too busy to answer in time. The same request with the same key may be sent again.
    #[error("too busy; try again")]
    Busy,
    /// An internal error. The source is written to the log only.
    #[error("internal error: {0}")]
    Internal(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::internal(too_many)
    }
}

impl Error {
    /// One invalid field.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// The same error of a part of a request: its fields become parts of `parent`.
    #[must_use]
    pub fn nested_in(self, parent: &str) -> Self {
        let Self::Invalid(errors) = self else { return self };
        let inner = |error: FieldError| match error.field.as_str() {
            "body" => FieldError { field: parent.to_owned(), ..error },
            field => FieldError { field: format!("{parent}.{field}"), ..error },
        };
        Self::Invalid(errors.into_iter().map(inner).collect())
    }

    /// An internal error. The source is written to the log only.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(source.into()))
    }

    /// Whether the same request may succeed if it is sent again.
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
