//! Transactions: legs that are written together or not at all.

use std::sync::Arc;

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use serde::Serialize;

use super::expression::Expression;
use super::failure::LegResult;
use super::keys::Item;
use super::to_item;
use crate::domain::Error;

/// The legs of a transaction, at most 100.
#[derive(Clone, Debug)]
pub struct Transaction {
    table: Arc<str>,
    legs: Vec<TransactWriteItem>,
}

/// One leg of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leg(usize);

impl Transaction {
    /// A transaction of the table, without legs.
    #[must_use]
    pub fn of(table: &Arc<str>) -> Self {
        Self { table: Arc::clone(table), legs: Vec::new() }
    }

    /// The legs in their order.
    #[must_use]
    pub fn legs(&self) -> Vec<TransactWriteItem> {
        self.legs.clone()
    }

    /// Updates an item.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn update(&mut self, expression: Expression) -> Result<Leg, Error> {
        let update = expression.update(&self.table)?;
        Ok(self.push(TransactWriteItem::builder().update(update).build()))
    }

    /// Checks the conditions on an item without a write.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn check(&mut self, expression: Expression) -> Result<Leg, Error> {
        let check = expression.check(&self.table)?;
        Ok(self.push(TransactWriteItem::builder().condition_check(check).build()))
    }

    /// Deletes an item.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn delete(&mut self, expression: Expression) -> Result<Leg, Error> {
        let delete = expression.delete(&self.table)?;
        Ok(self.push(TransactWriteItem::builder().delete(delete).build()))
    }

    /// Puts an item, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn put(&mut self, item: Item) -> Result<Leg, Error> {
        let put = Put::builder().table_name(&*self.table).set_item(Some(item)).build();
        Ok(self.push(TransactWriteItem::builder().put(put.map_err(Error::internal)?).build()))
    }

    /// Puts a value that must not exist yet, with `keys` and index attributes beside its own.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn put_new(&mut self, value: &impl Serialize, keys: Item) -> Result<Leg, Error> {
        let mut item = to_item(value)?;
        item.extend(keys);
        let put = Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build();
        Ok(self.push(TransactWriteItem::builder().put(put.map_err(Error::internal)?).build()))
    }

    fn push(&mut self, leg: TransactWriteItem) -> Leg {
        self.legs.push(leg);
        Leg(self.legs.len().saturating_sub(1))
    }
}

/// The results of a cancelled transaction. Nothing was written.
#[derive(Clone, Debug)]
pub struct Cancelled(Vec<LegResult>);

impl Cancelled {
    /// The results in the order of the legs.
    #[must_use]
    pub fn new(legs: Vec<LegResult>) -> Self {
        Self(legs)
    }

    /// The result of a leg.
    #[must_use]
    pub fn leg(&self, Leg(index): Leg) -> &LegResult {
        self.0.get(index).unwrap_or(&LegResult::Passed)
    }

    /// The existing item that does not meet the condition of a leg.
    #[must_use]
    pub fn image(&self, leg: Leg) -> Option<Item> {
        match self.leg(leg) {
            LegResult::Failed(image) => image.clone(),
            LegResult::Passed | LegResult::Busy => None,
        }
    }

    /// Whether the condition of a leg does not hold.
    #[must_use]
    pub fn has_failed(&self, leg: Leg) -> bool {
        matches!(self.leg(leg), LegResult::Failed(_))
    }

    /// Whether a leg conflicted with another write.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.contains(&LegResult::Busy)
    }
}
