//! How the table is read and written: one item, or one transaction, which is tried again as long as
//! other writes are in its way.

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use serde::Serialize;

use super::Store;
use super::failure::{LegResult, failure, legs};
use super::keys::{Item, text};
use super::retry::RetryBudget;
use crate::domain::Error;

impl Store {
    /// The put of a thing that must not exist yet; `keys` says where.
    pub(super) fn put_new(&self, thing: &impl Serialize, keys: Item) -> Result<Put, Error> {
        use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
        let mut item: Item = serde_dynamo::to_item(thing).map_err(Error::internal)?;
        item.extend(keys);
        Put::builder()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(AllOld)
            .build()
            .map_err(Error::internal)
    }

    /// One item as it is now.
    ///
    /// # Errors
    /// [`Error::Busy`] when the retry budget is used up, [`Error::Internal`].
    pub(super) async fn get(&self, key: Item) -> Result<Option<Item>, Error> {
        let read = self.client.get_item().table_name(&*self.table).set_key(Some(key));
        let read = read.consistent_read(true);
        let found = self.retry(|| async { read.clone().send().await.map_err(failure) });
        Ok(Box::pin(found).await?.item)
    }

    /// One page of a query.
    ///
    /// # Errors
    /// [`Error::Busy`] when the retry budget is used up, [`Error::Internal`].
    pub(super) async fn query(&self, query: QueryFluentBuilder) -> Result<QueryOutput, Error> {
        Box::pin(self.retry(|| async { query.clone().send().await.map_err(failure) })).await
    }

    /// The items of a partition whose sort keys are from `first` to `last`.
    ///
    /// # Errors
    /// [`Error::Busy`] when the retry budget is used up, [`Error::Internal`].
    pub(super) async fn range(
        &self,
        partition: String,
        first: &str,
        last: &str,
    ) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :partition AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":partition", text(&partition))
                .expression_attribute_values(":first", text(first))
                .expression_attribute_values(":last", text(last))
                .set_exclusive_start_key(start);
            let found = self.query(query).await?;
            items.extend(found.items.unwrap_or_default());
            start = found.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Repeats an attempt while AWS is busy or its answer is lost.
    ///
    /// # Errors
    /// [`Error::Busy`] when the retry budget is used up, and all others of an attempt.
    pub(super) async fn retry<T, Try>(&self, attempt: impl Fn() -> Try) -> Result<T, Error>
    where
        Try: Future<Output = Result<T, Error>>,
    {
        retry_within(&mut self.retry_budget(), attempt).await
    }

    /// `None` if all of it was written, else how each leg fared, in order; nothing is written then.
    ///
    /// An answer may have got lost before a try that is cancelled, so that a leg may have met what
    /// this very call has written. Every caller's conditions tell that apart.
    ///
    /// # Errors
    /// [`Error::Busy`] when the retry budget is used up, [`Error::Internal`].
    pub(super) async fn transact(
        &self,
        writes: Vec<TransactWriteItem>,
        budget: &mut RetryBudget,
    ) -> Result<Option<Vec<LegResult>>, Error> {
        loop {
            match self.try_transact(writes.clone(), budget).await {
                Err(Error::Busy) => budget.back_off().await?,
                Ok(Some(legs)) if legs.contains(&LegResult::Busy) => budget.back_off().await?,
                fared => return fared,
            }
        }
    }

    /// One try of [`Store::transact`].
    ///
    /// # Errors
    /// [`Error::Busy`] if it was not even tried or if the answer got lost, [`Error::Internal`].
    pub(super) async fn try_transact(
        &self,
        writes: Vec<TransactWriteItem>,
        budget: &RetryBudget,
    ) -> Result<Option<Vec<LegResult>>, Error> {
        let call = self.client.transact_write_items().set_transact_items(Some(writes)).send();
        let answer = budget.timeout(call).await?;
        answer.map_or_else(|error| legs(error).map(Some), |_| Ok(None))
    }
}

/// Repeats an attempt within the given budget.
///
/// # Errors
/// Those of [`Store::retry`].
pub(super) async fn retry_within<T, Try>(
    budget: &mut RetryBudget,
    attempt: impl Fn() -> Try,
) -> Result<T, Error>
where
    Try: Future<Output = Result<T, Error>>,
{
    loop {
        match budget.timeout(attempt()).await? {
            Err(Error::Busy) => budget.back_off().await?,
            done => return done,
        }
    }
}

/// A put as a leg of a transaction.
pub(super) fn put(put: Put) -> TransactWriteItem {
    TransactWriteItem::builder().put(put).build()
}

/// An update as a leg of a transaction.
pub(super) fn update(update: Update) -> TransactWriteItem {
    TransactWriteItem::builder().update(update).build()
}

/// A delete as a leg of a transaction.
pub(super) fn delete(delete: Delete) -> TransactWriteItem {
    TransactWriteItem::builder().delete(delete).build()
}
