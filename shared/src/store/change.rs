//! Changes of a pool's terms. A grant is a blind update in two variants, chosen by the side of the
//! mark that the balance is on. The ledger entries are put in the same transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, Update};
use serde::Serialize;

use super::access::{put, update};
use super::keys::Item;
use super::lane::Which;
use super::patience::Patience;
use super::{Store, keys};
use crate::domain::Error;
use crate::domain::change::Change;
use crate::domain::ids::TeamId;
use crate::domain::pool::{Effect, Pool};
use crate::domain::time::Time;

impl Store {
    /// Opens an empty pool for a team that has none.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn open(&self, team: &TeamId) -> Result<(), Error> {
        let pool = self.put_new(&Pool::open(team.clone()), keys::pool(team))?;
        self.transact(vec![put(pool)], &mut self.patience()).await.map(drop)
    }

    /// Applies a change that was decided on `seen`. `false` if the pool has moved on since; nothing is
    /// changed then.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn apply(
        &self,
        seen: &Pool,
        change: &Change,
        now: Time,
        patience: &mut Patience,
    ) -> Result<bool, Error> {
        if change.ends_lanes() && !seen.lanes.is_zero() {
            Box::pin(self.call_back(&seen.team, Which::All, now)).await?;
            return Ok(false);
        }
        let mut writes = vec![update(self.update(seen, change)?)];
        for entry in &change.entries {
            writes.push(put(self.put_entry(entry)?));
        }
        let cancelled = self.transact(writes, patience).await?;
        self.shortages.forget(&seen.team);
        Ok(cancelled.is_none())
    }

    fn update(&self, seen: &Pool, change: &Change) -> Result<Update, Error> {
        let (credits, condition) = arithmetic(seen, change);
        let lanes = if change.ends_lanes() { " AND lanes = :none" } else { "" };
        let after = Pool { terms: change.terms.clone(), ..seen.clone() };
        let terms = serde_dynamo::to_attribute_value(&change.terms).map_err(Error::internal)?;
        let mut set = format!("SET version = :next, terms = :terms{credits}");
        let mut remove = Vec::new();
        let mut update = Update::builder()
            .table_name(&*self.table)
            .set_key(Some(keys::pool(&seen.team)))
            .condition_expression(format!("version = :seen{condition}{lanes}"))
            .expression_attribute_values(":terms", terms)
            .expression_attribute_values(":seen", keys::number(seen.version))
            .expression_attribute_values(":next", keys::number(seen.version.saturating_add(1)));
        if let Effect::Grant(more) | Effect::Reset(more) = change.effect {
            remove.push("refused".to_owned());
            set.push_str(", epoch = :epoch");
            update = update
                .expression_attribute_values(":epoch", keys::number(seen.epoch.saturating_add(1)))
                .expression_attribute_values(":grant", keys::number(more.get()));
        }
        if change.ends_lanes() {
            update = update.expression_attribute_values(":none", keys::number(0));
        }
        if let Some(tally) = &change.tally {
            let tally = serde_dynamo::to_attribute_value(tally).map_err(Error::internal)?;
            set.push_str(", tally = :tally, used = :unused");
            update = update
                .expression_attribute_values(":tally", tally)
                .expression_attribute_values(":unused", AttributeValue::M(HashMap::new()));
        } else if let Effect::Grant(_) = change.effect {
            set.push_str(", tally.granted = tally.granted + :grant");
        }
        if credits == BELOW_MARK {
            update = update.expression_attribute_names("#epoch", seen.epoch.to_string());
        }
        if condition.contains(PINNED) {
            let balance = seen.balance;
            update = update
                .expression_attribute_values(":credits", keys::number(balance.credits.get()))
                .expression_attribute_values(":mark", keys::number(balance.mark.get()));
        }
        if let Some(at) = after.due_at() {
            set.push_str(", due = :due, due_at = :due_at");
            update = update
                .expression_attribute_values(":due", keys::text(keys::due_shard_of(&seen.team)))
                .expression_attribute_values(":due_at", keys::text(at.to_string()));
        } else {
            remove.extend(["due".to_owned(), "due_at".to_owned()]);
        }
        for (number, epoch) in after.settled_epochs().enumerate() {
            remove.push(format!("owed.#settled{number}"));
            update = update.expression_attribute_names(format!("#settled{number}"), epoch);
        }
        if !remove.is_empty() {
            set = format!("{set} REMOVE {}", remove.join(", "));
        }
        update.update_expression(set).build().map_err(Error::internal)
    }

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
}

/// Free credits lapse in the same write as the ledger tells how many, so their number is pinned.
/// No charge can move it after the cycle's end or while a next subscription waits, and no lane is
/// open then, so this does not lose to a busy pool.
const PINNED: &str = " AND credits = :credits AND mark = :mark";

/// A grant to a pool below its mark: the mark comes down to what is left, and what is owed to the
/// epoch that ends is kept.
const BELOW_MARK: &str =
    ", owed.#epoch = mark - credits, mark = credits, credits = credits + :grant";

/// What an effect on the free credits adds to the update and to its condition.
fn arithmetic(seen: &Pool, change: &Change) -> (&'static str, &'static str) {
    match change.effect {
        Effect::Keep if change.tally.is_some() => ("", PINNED),
        Effect::Keep | Effect::Charge(_) | Effect::Purchase(_) => ("", ""),
        Effect::Grant(_) | Effect::Reset(_) if seen.balance.is_below_mark() => {
            (BELOW_MARK, " AND credits < mark")
        }
        Effect::Grant(_) => (", credits = credits + :grant", " AND credits >= mark"),
        Effect::Reset(_) => (", credits = mark + :grant", PINNED),
    }
}
