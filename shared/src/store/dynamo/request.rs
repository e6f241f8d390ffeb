//! Requests to the table, which are sent again while AWS is busy.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::expression::Expression;
use super::failure::{failure, legs, unmet};
use super::keys::{Item, text};
use super::transaction::{Cancelled, Transaction};
use crate::domain::Error;
use crate::store::Store;
use crate::store::retry::RetryBudget;

/// The result of an update of one item.
#[derive(Clone, Debug)]
pub enum Updated {
    /// The item after the update.
    Written(Item),
    /// The condition does not hold. The item as it is, if it exists.
    Unmet(Option<Item>),
}

impl Updated {
    /// The item after the update; `None` if the condition does not hold.
    #[must_use]
    pub fn written(self) -> Option<Item> {
        match self {
            Self::Written(item) => Some(item),
            Self::Unmet(_) => None,
        }
    }

    /// Whether the item was updated.
    #[must_use]
    pub const fn is_written(&self) -> bool {
        matches!(self, Self::Written(_))
    }
}

impl Store {
    /// An item, read consistently.
    ///
    /// # Errors
    /// [`Error::Busy`] if the retry budget is used up; [`Error::Internal`].
    pub(in crate::store) async fn item_get(&self, key: Item) -> Result<Option<Item>, Error> {
        let read = self.client.get_item().table_name(&*self.table).set_key(Some(key));
        let read = read.consistent_read(true);
        let mut budget = self.retry_budget();
        let found = retry(&mut budget, || async { read.clone().send().await.map_err(failure) });
        Ok(Box::pin(found).await?.item)
    }

    /// A page of a query.
    ///
    /// # Errors
    /// [`Error::Busy`] if the retry budget is used up; [`Error::Internal`].
    pub(in crate::store) async fn items_query(
        &self,
        query: QueryFluentBuilder,
    ) -> Result<QueryOutput, Error> {
        let mut budget = self.retry_budget();
        Box::pin(retry(&mut budget, || async { query.clone().send().await.map_err(failure) })).await
    }

    /// All items of a partition with sort keys from `first` to `last`, read consistently.
    ///
    /// # Errors
    /// [`Error::Busy`] if the retry budget is used up; [`Error::Internal`].
    pub(in crate::store) async fn items_range(
        &self,
        partition: String,
        first: &str,
        last: &str,
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let query = self.range_query(&partition, first, last).set_exclusive_start_key(start);
            let found = self.items_query(query).await?;
            items.extend(found.items.unwrap_or_default());
            start = found.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// A query for the items of a range of sort keys in a partition.
    pub(in crate::store) fn range_query(
        &self,
        partition: &str,
        first: &str,
        last: &str,
    ) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&*self.table).consistent_read(true);
        query
            .key_condition_expression("pk = :partition AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":partition", text(partition))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
    }

    /// Updates one item.
    ///
    /// # Errors
    /// [`Error::Busy`] if the retry budget is used up; [`Error::Internal`].
    pub(in crate::store) async fn item_update(
        &self,
        expression: Expression,
        budget: &mut RetryBudget,
    ) -> Result<Updated, Error> {
        let update = expression.request(self.client.update_item().table_name(&*self.table))?;
        let updated = retry(budget, || async {
            match update.clone().send().await {
                Ok(updated) => Ok(Updated::Written(updated.attributes.unwrap_or_default())),
                Err(error) => unmet(error).map(Updated::Unmet),
            }
        });
        Box::pin(updated).await
    }

    /// A transaction without legs.
    pub(in crate::store) fn transaction(&self) -> Transaction {
        Transaction::of(&self.table)
    }

    /// Writes a transaction. Returns `None` if it was written, else the result of each leg.
    ///
    /// The answer of an earlier attempt may be lost, so a leg may fail on what this call has written
    /// itself. The conditions of every caller detect that.
    ///
    /// # Errors
    /// [`Error::Busy`] if the retry budget is used up; [`Error::Internal`].
    pub(in crate::store) async fn transact(
        &self,
        transaction: &Transaction,
        budget: &mut RetryBudget,
    ) -> Result<Option<Cancelled>, Error> {
        loop {
            match self.transact_once(transaction, budget).await {
                Err(Error::Busy) => budget.back_off().await?,
                Ok(Some(cancelled)) if cancelled.is_busy() => budget.back_off().await?,
                result => return result,
            }
        }
    }

    /// One attempt of [`Store::transact`].
    ///
    /// # Errors
    /// [`Error::Busy`] if AWS refused the call or its answer is lost; [`Error::Internal`].
    pub(in crate::store) async fn transact_once(
        &self,
        transaction: &Transaction,
        budget: &RetryBudget,
    ) -> Result<Option<Cancelled>, Error> {
        let legs_to_write = Some(transaction.legs());
        let call = self.client.transact_write_items().set_transact_items(legs_to_write).send();
        match budget.timeout(call).await? {
            Ok(_) => Ok(None),
            Err(error) => Ok(Some(Cancelled::new(legs(error)?))),
        }
    }
}

/// Repeats an attempt within the budget while AWS is busy or its answer is lost.
///
/// # Errors
/// [`Error::Busy`] if the budget is used up, and all other errors of an attempt.
async fn retry<T, Attempt>(
    budget: &mut RetryBudget,
    attempt: impl Fn() -> Attempt,
) -> Result<T, Error>
where
    Attempt: Future<Output = Result<T, Error>>,
{
    loop {
        match budget.timeout(attempt()).await? {
            Err(Error::Busy) => budget.back_off().await?,
            result => return result,
        }
    }
}
