//! Statements of cycles that are over: written once, listed by their first day.

use jiff::civil::Date;

use super::requests::put;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::statement::Statement;

impl Store {
    /// Keeps a statement, unless it is kept already.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn keep(&self, statement: &Statement) -> Result<(), Error> {
        let kept = self.put_new(statement, keys::statement(statement))?;
        self.transact(vec![put(kept)], &mut self.retry_budget()).await.map(drop)
    }

    /// The statements of the cycles that started on a day: several if plans were changed on that day.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn statements_of(&self, team: &TeamId, start: Date) -> Result<Vec<Statement>, Error> {
        let (first, last) = keys::statements(Some(start));
        self.statements_between(team, &first, &last).await
    }

    /// The statements of a team, the oldest first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn statements(&self, team: &TeamId) -> Result<Vec<Statement>, Error> {
        let (first, last) = keys::statements(None);
        self.statements_between(team, &first, &last).await
    }

    async fn statements_between(
        &self,
        team: &TeamId,
        first: &str,
        last: &str,
    ) -> Result<Vec<Statement>, Error> {
        let items = self.range(keys::team(team), first, last).await?;
        let statements = items.into_iter().map(serde_dynamo::from_item);
        statements.collect::<Result<_, _>>().map_err(Error::internal)
    }
}
