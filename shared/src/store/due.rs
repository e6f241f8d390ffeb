//! Due items, read from a sparse index: the cost follows the due items, not the number of teams.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::Store;
use super::dynamo::keys::{self, Item};
use crate::domain::Error;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::time::Time;

/// The due items of a page. The caller processes a page before it reads the next.
const PAGE_ITEMS: i32 = 500;

/// A page of due items.
#[derive(Clone, Debug)]
pub struct Due {
    /// The teams with due items, each with its monitored accounts whose month is due.
    pub teams: BTreeMap<TeamId, Vec<AccountId>>,
    /// The start of the next page; `None` on the last page.
    pub next: Option<Item>,
}

impl Store {
    /// A page of the items of a shard that are due at `now`, earliest first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn due_list(
        &self,
        shard: char,
        now: Time,
        start: Option<Item>,
    ) -> Result<Due, Error> {
        let query = self.due_query(&keys::due_shard(shard), now);
        let query = query.limit(PAGE_ITEMS).set_exclusive_start_key(start);
        let found = self.items_query(query).await?;
        let mut teams: BTreeMap<TeamId, Vec<AccountId>> = BTreeMap::new();
        for key in found.items.iter().flatten() {
            let Some(team) = keys::team_of_due(key) else { continue };
            teams.entry(team).or_default().extend(keys::account_of_due(key));
        }
        Ok(Due { teams, next: found.last_evaluated_key })
    }

    /// A query for the items of a partition of the index that are due at `now`.
    pub(super) fn due_query(&self, partition: &str, now: Time) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&*self.table).index_name(keys::DUE_INDEX);
        query
            .key_condition_expression("due = :partition AND due_at <= :now")
            .expression_attribute_values(":partition", keys::text(partition))
            .expression_attribute_values(":now", keys::text(now.to_string()))
    }
}
