//! The meaning of the SDK's errors for a write. Only this file reads cancellation reasons.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;

use super::keys::Item;
pub use crate::aws::failure::failure;
use crate::domain::Error;

/// The result of one leg of a cancelled transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum LegResult {
    /// The leg is not a reason of the cancellation.
    Passed,
    /// Its condition was not met. Contains the item; `None` if it does not exist.
    Failed(Option<Item>),
    /// It conflicted with another write or was throttled.
    Busy,
}

/// The results of the legs of a cancelled transaction, in their order.
///
/// # Errors
/// [`Error::Busy`] if the transaction was not attempted or its answer was lost; [`Error::Internal`]
/// if a retry cannot succeed.
pub fn legs(error: SdkError<TransactWriteItemsError>) -> Result<Vec<LegResult>, Error> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().map(leg).collect()
        }
        Some(_) | None => Err(failure(error)),
    }
}

fn leg(reason: &CancellationReason) -> Result<LegResult, Error> {
    match reason.code() {
        None | Some("None") => Ok(LegResult::Passed),
        Some("ConditionalCheckFailed") => {
            Ok(LegResult::Failed(reason.item().filter(|item| !item.is_empty()).cloned()))
        }
        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
            Ok(LegResult::Busy)
        }
        Some(_) => Err(Error::internal(format!("transaction cancelled: {reason:?}"))),
    }
}

/// The item that did not meet the condition of an update; `None` if it does not exist.
///
/// # Errors
/// [`Error::Busy`] if the update conflicted with another write, was not attempted or its answer was
/// lost; [`Error::Internal`] if a retry cannot succeed.
pub fn unmet(error: SdkError<UpdateItemError>) -> Result<Option<Item>, Error> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(unmet)) => Ok(unmet.item.clone()),
        Some(_) | None => Err(failure(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(code: &str) -> CancellationReason {
        CancellationReason::builder().code(code).build()
    }

    #[test]
    fn each_cancellation_reason_has_its_result() {
        assert_eq!(leg(&reason("None")).unwrap(), LegResult::Passed);
        assert_eq!(leg(&reason("ConditionalCheckFailed")).unwrap(), LegResult::Failed(None));
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert_eq!(leg(&reason(code)).unwrap(), LegResult::Busy, "{code}");
        }
        assert!(matches!(leg(&reason("ValidationError")), Err(Error::Internal(_))));
    }
}
