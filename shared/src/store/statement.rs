//! Statements of past cycles: written once, listed by their first day.

use jiff::civil::Date;

use super::Store;
use super::dynamo::{from_item, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::statement::Statement;

impl Store {
    /// Stores a statement, unless it is stored already.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn statement_put(&self, statement: &Statement) -> Result<(), Error> {
        let mut transaction = self.transaction();
        transaction.put_new(statement, keys::statement(statement))?;
        self.transact(&transaction, &mut self.retry_budget()).await.map(drop)
    }

    /// The newest statement of a team.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn statement_newest(&self, team: &TeamId) -> Result<Option<Statement>, Error> {
        let (first, last) = keys::statements(None);
        let newest = self.range_query(&keys::team(team), &first, &last);
        let found = self.items_query(newest.scan_index_forward(false).limit(1)).await?;
        found.items.into_iter().flatten().next().map(from_item).transpose()
    }

    /// The statements of a team, the oldest first: those of the cycles that started on a day, or all. Several cycles
    /// start on one day if plans were changed on it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn statement_list(
        &self,
        team: &TeamId,
        start: Option<Date>,
    ) -> Result<Vec<Statement>, Error> {
        let (first, last) = keys::statements(start);
        let items = self.items_range(keys::team(team), &first, &last).await?;
        items.into_iter().map(from_item).collect()
    }
}
