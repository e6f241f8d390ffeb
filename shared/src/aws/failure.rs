//! The meaning of the SDK's errors.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::domain::Error;

/// The codes of a conflict and of throttling. DynamoDB and EventBridge answer them with status 400.
const TRANSIENT_CODES: [&str; 5] = [
    "TransactionInProgressException",
    "TransactionConflictException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
];

/// [`Error::Busy`] for a call that may succeed later: no answer, a status of 500 or above, or the code
/// of a conflict or of throttling. Otherwise [`Error::Internal`].
#[must_use]
pub fn failure<E>(error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_transient = match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            true
        }
        SdkError::ServiceError(answer) => {
            let is_transient_code = |code| TRANSIENT_CODES.contains(&code);
            answer.raw().status().is_server_error()
                || answer.err().code().is_some_and(is_transient_code)
        }
        SdkError::ConstructionFailure(_) | _ => false,
    };
    if is_transient {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "a call to AWS failed and may be retried");
        Error::Busy
    } else {
        Error::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    #[test]
    fn busy_for_server_errors_conflicts_and_throttling() {
        for (status, code, is_busy) in [
            (500_u16, "InternalServerError", true),
            (502, "", true),
            (400, "ThrottlingException", true),
            (400, "TransactionConflictException", true),
            (400, "ValidationException", false),
            (403, "AccessDeniedException", false),
        ] {
            let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
            let error = ErrorMetadata::builder().code(code).build();
            let error = failure(SdkError::service_error(error, response));
            assert_eq!(matches!(error, Error::Busy), is_busy, "{status} {code}");
        }
    }
}
