//! What is due: read through a sparse index, so the cost follows what is due and not the teams.

use super::Store;
use super::keys::{self, Item};
use crate::domain::Error;
use crate::domain::ids::TeamId;
use crate::domain::time::Time;

/// Some of what is due.
#[derive(Clone, Debug)]
pub struct Due {
    /// The teams that have something due: a cycle or a hold that is over.
    pub teams: Vec<TeamId>,
    /// Where the next page starts; `None` when there is none.
    pub next: Option<Item>,
}

impl Store {
    /// A page of what is due in one shard.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn due(&self, shard: char, now: Time, start: Option<Item>) -> Result<Due, Error> {
        let query = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::DUE_INDEX)
            .key_condition_expression("due = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", keys::text(keys::due_shard(shard)))
            .expression_attribute_values(":now", keys::text(now.to_string()))
            .set_exclusive_start_key(start);
        let found = self.query(query).await?;
        let mut teams: Vec<TeamId> =
            found.items.iter().flatten().filter_map(keys::team_of_due).collect();
        teams.sort_unstable();
        teams.dedup();
        Ok(Due { teams, next: found.last_evaluated_key })
    }
}
