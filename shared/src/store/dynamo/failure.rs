//! What the SDK's failures mean to us; the one place that reads cancellation reasons.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;

use super::keys::Item;
pub use crate::aws::failure::failure;
use crate::domain::Error;

/// How one part of a cancelled transaction fared.
#[derive(Clone, Debug, PartialEq)]
pub enum LegResult {
    /// It would have gone through.
    Passed,
    /// Its condition did not hold; the item as it was, or nothing if there was none.
    Failed(Option<Item>),
    /// Another write was in the way, or too many of them.
    Busy,
}

/// The legs of a cancelled transaction, in its order.
///
/// # Errors
/// [`Error::Busy`] if the transaction was not even tried, or if its answer got lost;
/// [`Error::Internal`] if it never can succeed.
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

/// The item that did not meet the condition of an update; nothing if there was none.
///
/// # Errors
/// [`Error::Busy`] if another write was in the way, if the update was not even tried, or if its
/// answer got lost; [`Error::Internal`] if it never can succeed.
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
    fn reasons_are_told_apart() {
        assert_eq!(leg(&reason("None")).unwrap(), LegResult::Passed);
        assert_eq!(leg(&reason("ConditionalCheckFailed")).unwrap(), LegResult::Failed(None));
        for code in ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"] {
            assert_eq!(leg(&reason(code)).unwrap(), LegResult::Busy, "{code}");
        }
        assert!(matches!(leg(&reason("ValidationError")), Err(Error::Internal(_))));
    }
}
