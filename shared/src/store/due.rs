//! What is due: read through a sparse index, so the cost follows what is due and not the teams.

use std::collections::BTreeMap;

use super::Store;
use super::dynamo::keys::{self, Item};
use crate::domain::Error;
use crate::domain::ids::{AccountId, TeamId};
use crate::domain::time::Time;

/// How much of what is due is read at a time: what was read is worked off before more is.
const PAGE: i32 = 500;

/// Some of what is due.
#[derive(Clone, Debug)]
pub struct Due {
    /// The teams that have something due: a cycle, a hold or a lane that is over, or a month of the
    /// monitored accounts that stand with the team.
    pub teams: BTreeMap<TeamId, Vec<AccountId>>,
    /// Where the next page starts; `None` when there is none.
    pub next: Option<Item>,
}

impl Store {
    /// A page of what is due in one shard, the oldest first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn due_list(
        &self,
        shard: char,
        now: Time,
        start: Option<Item>,
    ) -> Result<Due, Error> {
        let query = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::DUE_INDEX)
            .key_condition_expression("due = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", keys::text(keys::due_shard(shard)))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .limit(PAGE)
            .set_exclusive_start_key(start);
        let found = self.items_query(query).await?;
        let mut teams: BTreeMap<TeamId, Vec<AccountId>> = BTreeMap::new();
        for key in found.items.iter().flatten() {
            let Some(team) = keys::team_of_due(key) else { continue };
            teams.entry(team).or_default().extend(keys::account_of_due(key));
        }
        Ok(Due { teams, next: found.last_evaluated_key })
    }
}
