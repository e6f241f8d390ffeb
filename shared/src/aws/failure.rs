//! What the failure of a whole call means to us.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::domain::Error;

/// Whether a failed call may succeed later.
#[must_use]
pub fn failure<E, R>(error: SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let passing = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(answer) => is_passing(answer.err().code()),
        SdkError::ConstructionFailure(_) | _ => false,
    };
    if passing {
        tracing::warn!(error = &error as &dyn std::error::Error, "AWS is busy");
        Error::Busy
    } else {
        Error::internal(error)
    }
}

/// Whether an error code tells of something that passes.
fn is_passing(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "TransactionInProgressException"
                | "TransactionConflictException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "ThrottlingException"
                | "InternalServerError"
                | "InternalException"
                | "InternalFailure"
                | "ServiceUnavailable"
        )
    )
}
