//! Changes of a pool's terms. A grant is one of two blind updates, selected by the side of the mark that the balance
//! is on. The ledger entries are put in the same transaction.

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys;
use super::dynamo::transaction::Transaction;
use super::operation::Operation;
use crate::domain::hold::Hold;
use crate::domain::pool::balance::BalanceChange;
use crate::domain::pool::epochs::{GROUPS_BEFORE_JOIN, Owed};
use crate::domain::pool::usage::Usage;
use crate::domain::pool::{OwedChange, Pool};
use crate::domain::subscription::terms::Change;
use crate::domain::{Credits, Error};

impl Store {
    /// Applies a change that was decided on `seen`. Returns `false` and changes nothing if the pool has changed since,
    /// or if lanes are open that must be returned first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn terms_apply(
        &self,
        seen: &Pool,
        change: &Change,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        if change.balance_change.is_grant()
            && seen.owed.groups() > GROUPS_BEFORE_JOIN
            && self.owed_join(seen, operation).await?.is_none()
        {
            return Ok(false);
        }
        let transaction = self.terms_applied(seen, change)?;
        let cancelled = self.transact(&transaction, &mut operation.budget).await?;
        self.refusals.remove(&seen.team);
        Ok(cancelled.is_none())
    }

    /// One attempt to apply a change that was decided on `seen`. Returns `false` and changes nothing if the pool has
    /// changed since, or if lanes are open that must be returned first.
    ///
    /// # Errors
    /// [`Error::Busy`] also after a conflict with another write; [`Error::Internal`].
    pub async fn terms_apply_once(&self, seen: &Pool, change: &Change) -> Result<bool, Error> {
        let transaction = self.terms_applied(seen, change)?;
        Ok(self.transact_once(&transaction, &self.retry_budget()).await?.is_none())
    }

    /// The write of a change.
    fn terms_applied(&self, seen: &Pool, change: &Change) -> Result<Transaction, Error> {
        let mut transaction = self.transaction();
        transaction.update(changed(seen, change))?;
        for entry in &change.entries {
            transaction.put_entry(entry)?;
        }
        Ok(transaction)
    }

    /// Joins groups of what is owed that no open hold distinguishes. Returns what is owed after it; `None` if another
    /// write has changed it meanwhile.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn owed_join(
        &self,
        pool: &Pool,
        operation: &mut Operation,
    ) -> Result<Option<Owed>, Error> {
        let holds = self.open_holds_read(pool).await?.into_iter().map(|stored| stored.hold);
        let owed = pool.owed.compacted(&holds.collect::<Vec<Hold>>())?;
        let is_stored = owed == pool.owed || self.pool_put_owed(pool, &owed, operation).await?;
        Ok(is_stored.then_some(owed))
    }
}

/// The update of a pool by a change that was decided on `seen`.
fn changed(seen: &Pool, change: &Change) -> Expression {
    let mut update = Expression::on(keys::pool(&seen.team))
        .set("version = :next")
        .value(":next", seen.version.saturating_add(1))
        .when("version = :seen")
        .value(":seen", seen.version)
        .replace("terms", &seen.terms, &change.terms);
    if change.ends_lanes() {
        update = update.when("lanes = :no_lanes").value(":no_lanes", 0);
    }
    match change.balance_change {
        BalanceChange::Keep if change.totals.is_some() => update = update.when_balance_is(seen),
        BalanceChange::Keep | BalanceChange::Charge(_) | BalanceChange::Purchase(_) => {}
        BalanceChange::Grant(credits) => {
            update = update.grant(seen, credits);
            if change.totals.is_none() {
                update = update.set("totals.granted = totals.granted + :grant");
            }
        }
        BalanceChange::Reset(credits) => update = update.reset(seen, credits),
    }
    if let Some(totals) = &change.totals {
        update = update.set("totals = :totals, used = :unused");
        update = update.value(":totals", totals).value(":unused", Usage::default());
        update = update.remove_weeks(seen.weeks.old(change.at));
    }
    let after = Pool { terms: change.terms.clone(), ..seen.clone() };
    update.put_due(&seen.team, after.due_at())
}

impl Expression {
    /// Adds free credits on top of those that are left.
    fn grant(self, seen: &Pool, credits: Credits) -> Self {
        if seen.balance.is_below_mark() {
            return self.grant_below_mark(seen, credits);
        }
        self.begin_epoch(seen, credits).set("credits = credits + :grant").when("credits >= mark")
    }

    /// Replaces the free credits that are left. They lapse in this write, and an entry contains their number, so the
    /// balance must be as it was seen.
    fn reset(self, seen: &Pool, credits: Credits) -> Self {
        if seen.balance.is_below_mark() {
            return self.grant_below_mark(seen, credits);
        }
        self.begin_epoch(seen, credits).set("credits = mark + :grant").when_balance_is(seen)
    }

    /// Adds free credits to a pool that has none: the mark falls to the purchased credits that are left.
    fn grant_below_mark(self, seen: &Pool, credits: Credits) -> Self {
        let update = self
            .begin_epoch(seen, credits)
            .set("mark = credits, credits = credits + :grant")
            .when("credits < mark");
        if seen.owed_change() == OwedChange::Keep {
            return update.when("hold_epoch = :hold_epoch").value(":hold_epoch", seen.hold_epoch);
        }
        update
    }

    /// Begins an epoch. The purchased credits that the ending one used are owed to the open holds.
    fn begin_epoch(self, seen: &Pool, credits: Credits) -> Self {
        let mut update = self
            .value(":grant", credits)
            .set("epoch = :epoch")
            .value(":epoch", seen.epoch.saturating_add(1))
            .remove("refused");
        match seen.owed_change() {
            OwedChange::Keep => update,
            OwedChange::Clear => update
                .set("owed = :nothing")
                .value(":nothing", Owed::default())
                .when("open_holds = :no_holds")
                .value(":no_holds", 0),
            OwedChange::Add(group) => {
                let group = update.placeholder(&group.to_string());
                update.set(format!("owed.{group} = mark - credits"))
            }
        }
    }

    /// Requires the balance that was seen. No charge changes it while a change is due, so a busy pool does not delay
    /// this.
    fn when_balance_is(self, seen: &Pool) -> Self {
        self.when("credits = :credits AND mark = :mark")
            .value(":credits", seen.balance.credits)
            .value(":mark", seen.balance.mark)
    }
}
