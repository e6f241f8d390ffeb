//! Pending purchases that are due: the schedule looks whether they were paid.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::from_item;
use super::dynamo::keys::{self, Item};
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::purchase::{Purchase, PurchaseStatus};
use crate::domain::time::Time;

/// The due purchases of a page. The caller processes a page before it reads the next.
const PAGE_ITEMS: i32 = 100;

/// A pending purchase that was due when it was listed.
#[derive(Clone, Debug)]
pub struct DuePurchase {
    /// The team.
    pub team: TeamId,
    /// The purchase.
    pub id: Id,
    due_at: Time,
}

/// A page of due purchases.
#[derive(Clone, Debug)]
pub struct DuePurchases {
    /// The purchases, the earliest first.
    pub due: Vec<DuePurchase>,
    /// The start of the next page; `None` on the last page.
    pub next: Option<Item>,
}

impl Store {
    /// A page of the pending purchases of a shard that are due at `now`.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn due_purchases_list(
        &self,
        shard: char,
        now: Time,
        start: Option<Item>,
    ) -> Result<DuePurchases, Error> {
        let query = self.due_query(&keys::purchase_due_shard(shard), now);
        let query = query.limit(PAGE_ITEMS).set_exclusive_start_key(start);
        let found = self.items_query(query).await?;
        let due = |key: &Item| {
            let (team, id) = keys::purchase_of_due(key)?;
            Some(DuePurchase { team, id, due_at: keys::due_at(key)? })
        };
        let due = found.items.iter().flatten().filter_map(due).collect();
        Ok(DuePurchases { due, next: found.last_evaluated_key })
    }

    /// Postpones a due purchase. Returns it as it is; `None` if it is not pending any more or another run has postponed
    /// it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn due_purchase_postpone(
        &self,
        due: &mut DuePurchase,
        until: Time,
    ) -> Result<Option<Purchase>, Error> {
        let DuePurchase { team, id, due_at } = due;
        let postponed = Expression::on(keys::purchase(team, id))
            .set("due_at = :later")
            .value(":later", until)
            .when("#status = :pending AND due_at = :seen")
            .name("#status", "status")
            .value(":pending", PurchaseStatus::Pending)
            .value(":seen", *due_at);
        let updated = self.item_update(postponed, &mut self.retry_budget()).await?;
        *due_at = until;
        updated.written().map(from_item).transpose()
    }
}
