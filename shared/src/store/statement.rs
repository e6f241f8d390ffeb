//! Statements of cycles that are over: written once, listed by their first day.

use jiff::civil::Date;

use super::access::put;
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
        self.transact(vec![put(kept)], &mut self.patience()).await.map(drop)
    }

    /// The statement of the cycle that started on a day. Where several did, because plans were
    /// changed on that day, it is of all of them together.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn statement(&self, team: &TeamId, start: Date) -> Result<Statement, Error> {
        let (first, last) = keys::statements(Some(start));
        let found = self.statements_between(team, &first, &last).await?;
        found.into_iter().reduce(Statement::and).ok_or(Error::NotFound("cycle"))
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
