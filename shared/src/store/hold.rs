//! Holds: taken from the pool, read and released.

use futures_util::future::try_join;

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::from_item;
use super::dynamo::keys;
use super::dynamo::transaction::{Leg, Transaction};
use super::entry::EntryResult;
use super::open_hold::{Closing, StoredHold};
use super::operation::Operation;
use super::pool::{Returned, received};
use crate::domain::hold::{Hold, HoldStatus};
use crate::domain::ids::{CallerKey, Id, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Details, Entry, Kind};
use crate::domain::limits::OPEN_HOLDS_MAX;
use crate::domain::pool::Pool;
use crate::domain::pool::epochs::GROUPS_MAX;
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error, Resource};

/// A release by the hold's owner.
#[derive(Clone, Debug)]
pub struct Release {
    /// The request's idempotency key.
    pub key: CallerKey,
    /// The caller.
    pub user: UserId,
}

/// A released hold.
#[derive(Clone, Debug)]
pub struct Released {
    /// The hold after its release.
    pub hold: Hold,
    /// Its reference.
    pub reference: Option<Reference>,
    /// Whether the same request released it before.
    pub is_replay: bool,
}

/// The write that takes a hold.
struct HoldWrite {
    transaction: Transaction,
    entry: Leg,
}

impl Store {
    /// Reserves credits. The result contains the hold's entry.
    ///
    /// The refusals are [`Error::NotFound`] (the team), [`Error::AccountClosed`], [`Error::InsufficientCredits`],
    /// [`Error::TooManyHolds`] and [`Error::KeyReused`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn hold_take(&self, entry: Entry, now: Time) -> Result<EntryResult, Error> {
        let mut operation = self.operation(&entry.team, now);
        let result = Box::pin(self.hold_take_in(&entry, &mut operation)).await;
        self.recall_end(operation).await;
        result
    }

    async fn hold_take_in(
        &self,
        entry: &Entry,
        operation: &mut Operation,
    ) -> Result<EntryResult, Error> {
        loop {
            let pool = match self.due_changes_make(operation).await {
                Err(error @ Error::NotFound(_)) => return Ok(EntryResult::Refused(error)),
                pool => pool?,
            };
            if let Err(error) = pool.check_open() {
                return self.entry_refuse(entry, error).await;
            }
            let hold = Hold::of(entry, pool.hold_origin());
            let hold = hold.ok_or_else(|| Error::internal("the entry is of no hold"))?;
            let room = Box::pin(self.hold_make_room(&pool, hold.credits, operation)).await;
            match room {
                Ok(true) => {}
                Ok(false) => {
                    operation.budget.check_left()?;
                    continue;
                }
                Err(error @ (Error::Busy | Error::Internal(_))) => return Err(error),
                Err(refusal) => return self.entry_refuse(entry, refusal).await,
            }
            let write = self.hold_taken(&hold, entry, operation.now)?;
            let Some(cancelled) = self.transact(&write.transaction, &mut operation.budget).await?
            else {
                self.refusals.remove(&entry.team);
                return Ok(EntryResult::Created(entry.clone()));
            };
            if let Some(image) = cancelled.image(write.entry) {
                return EntryResult::of_image(image, entry);
            }
            operation.budget.check_left()?;
        }
    }

    /// Makes room for a hold: expired holds and lanes are returned and groups of what is owed are joined as far as the
    /// hold needs it. Returns `true` if the pool already has room, and `false` if it must be read again.
    ///
    /// # Errors
    /// [`Error::InsufficientCredits`], [`Error::TooManyHolds`]; [`Error::Busy`], [`Error::Internal`].
    async fn hold_make_room(
        &self,
        pool: &Pool,
        required: Credits,
        operation: &mut Operation,
    ) -> Result<bool, Error> {
        if pool.open_holds >= OPEN_HOLDS_MAX {
            let has_returned = self.holds_expire_covering(pool, Credits::ZERO, operation).await?;
            return if has_returned { Ok(false) } else { Err(Error::TooManyHolds) };
        }
        if pool.owed.groups() >= GROUPS_MAX && pool.hold_epoch != pool.epoch {
            let expired = self.expired_holds_read(pool, operation.now).await?;
            if !expired.is_empty() {
                self.holds_expire(pool, &expired, operation).await?;
                return Ok(false);
            }
            let joined = self.owed_join(pool, operation).await?;
            let is_full = joined.is_some_and(|owed| owed.groups() >= GROUPS_MAX);
            return if is_full { Err(Error::TooManyHolds) } else { Ok(false) };
        }
        if pool.balance.credits >= required {
            return Ok(true);
        }
        let all = self.projection_read(&pool.team, operation.now).await?.pool.balance.credits;
        if all < required {
            return Err(Error::InsufficientCredits { balance: all, required });
        }
        let missing = required.excess_over(pool.balance.credits);
        self.credits_gather(pool, missing, operation).await?;
        Ok(false)
    }

    /// The write of a hold: its credits leave the pool, and the hold and its entry are put.
    fn hold_taken(&self, hold: &Hold, entry: &Entry, now: Time) -> Result<HoldWrite, Error> {
        let take = Expression::on(keys::pool(&hold.team))
            .set("credits = credits - :hold, held = held + :hold")
            .set("open_holds = open_holds + :one, hold_epoch = :epoch")
            .value(":one", 1)
            .set("hold_sum = hold_sum + :sum")
            .value(":sum", hold.checksum())
            .when("credits >= :hold AND epoch = :epoch")
            .value(":hold", hold.credits)
            .value(":epoch", hold.epoch)
            .when("open_holds < :max")
            .value(":max", OPEN_HOLDS_MAX)
            .when_active()
            .when_not_due(now);
        let mut transaction = self.transaction();
        transaction.update(take)?;
        transaction.put(StoredHold::new_item(hold)?)?;
        let entry = transaction.put_entry(entry)?;
        Ok(HoldWrite { transaction, entry })
    }

    /// Moves the counters of an open hold to its pool, so that the hold has room for those of other actions. They count
    /// in the pool's current cycle.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn hold_counters_move(
        &self,
        hold: &Hold,
        operation: &mut Operation,
    ) -> Result<(), Error> {
        let pool = self.due_changes_make(operation).await?;
        let emptied = Expression::on(keys::open_hold(&hold.team, &hold.id))
            .set("moves = if_not_exists(moves, :none) + :one")
            .value(":none", 0)
            .value(":one", 1)
            .set("used = :unused")
            .value(":unused", Usage::default())
            .when("used = :used")
            .value(":used", &hold.used);
        let mut transaction = self.transaction();
        transaction.update(emptied)?;
        let after = Pool { hold_sum: pool.hold_sum.saturating_add(1), ..pool.clone() };
        let moved = Returned { used: hold.used.clone(), ..Returned::default() };
        transaction.update(received(&pool, &after, &moved, operation.now)?)?;
        if self.transact(&transaction, &mut operation.budget).await?.is_some() {
            operation.budget.back_off().await?;
        }
        Ok(())
    }

    /// A hold, open or closed, and its reference.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn hold_read(
        &self,
        team: &TeamId,
        id: &Id,
    ) -> Result<(Hold, Option<Reference>), Error> {
        let read = try_join(self.hold_item_read(team, id), self.hold_entry_read(team, id));
        let (hold, taking) = read.await?;
        Ok((hold, taking.reference))
    }

    /// A hold, open or closed.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn hold_item_read(&self, team: &TeamId, id: &Id) -> Result<Hold, Error> {
        match self.open_hold_read(team, id).await? {
            Some(open) => Ok(open.hold),
            None => self.closed_hold_read(team, id).await,
        }
    }

    /// A closed hold. A hold moves to the closed ones in one transaction.
    async fn closed_hold_read(&self, team: &TeamId, id: &Id) -> Result<Hold, Error> {
        let closed = self.item_get(keys::closed_hold(team, id)).await?;
        from_item(closed.ok_or(Error::NotFound(Resource::Hold))?)
    }

    /// The entry of the taking of a hold, which contains its owner and its reference.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn hold_entry_read(&self, team: &TeamId, hold: &Id) -> Result<Entry, Error> {
        let entry = self.entry_read(team, &hold.with_prefix("e")).await?;
        let is_taking = |entry: &Entry| entry.kind() == Kind::Hold && entry.hold() == Some(hold);
        entry.filter(is_taking).ok_or(Error::NotFound(Resource::Hold))
    }

    /// Returns what remains of a hold, for its owner.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::HoldClosed`], [`Error::KeyReused`]; [`Error::Busy`], [`Error::Internal`].
    pub async fn hold_release(
        &self,
        team: &TeamId,
        id: &Id,
        release: &Release,
        now: Time,
    ) -> Result<Released, Error> {
        let mut budget = self.retry_budget();
        loop {
            let (stored, taking) =
                try_join(self.open_hold_read(team, id), self.hold_entry_read(team, id)).await?;
            let reference = taking.reference.as_ref();
            let Some(stored) = stored else {
                let hold = self.closed_hold_read(team, id).await?;
                let entry = release_entry(&hold, reference, release, now);
                return self.hold_replay_release(hold, &entry).await;
            };
            let entry = release_entry(&stored.hold, reference, release, now);
            if stored.hold.status_at(now) != HoldStatus::Open {
                return self.hold_replay_release(stored.hold, &entry).await;
            }
            // Captures count in the cycle in which the hold ends.
            let pool = self.pool_current(team, now).await?;
            let closing = Closing {
                stored: &stored,
                status: HoldStatus::Released,
                entries: vec![entry.clone()],
            };
            let mut transaction = self.transaction();
            let entry_leg = transaction.close_holds(&pool, vec![closing], now)?;
            let Some(cancelled) = self.transact(&transaction, &mut budget).await? else {
                self.refusals.remove(team);
                let hold = stored.hold.closed(HoldStatus::Released);
                return Ok(Released { hold, reference: entry.reference, is_replay: false });
            };
            match entry_leg.and_then(|leg| cancelled.image(leg)) {
                // It was released meanwhile by this request or by expiry, unless the key is of another request.
                Some(image) => {
                    check_answers_release(&from_item(image)?, &entry)?;
                    budget.check_left()?;
                }
                // A capture or a grant was written meanwhile.
                None => budget.back_off().await?,
            }
        }
    }

    /// A closed hold, if the same request released it.
    async fn hold_replay_release(&self, hold: Hold, asked: &Entry) -> Result<Released, Error> {
        let closed = Error::HoldClosed(hold.status_at(asked.at).as_str());
        let entry = self.entry_read(&asked.team, &asked.id).await?.ok_or(closed)?;
        check_answers_release(&entry, asked)?;
        Ok(Released { hold, reference: entry.reference, is_replay: true })
    }
}

/// Checks that an entry answers a release. The credits that remained at the time of the request do not matter.
fn check_answers_release(entry: &Entry, asked: &Entry) -> Result<(), Error> {
    let asked = Entry { held: entry.held, ..asked.clone() };
    if entry.answers(&asked) { Ok(()) } else { Err(Error::KeyReused) }
}

fn release_entry(
    hold: &Hold,
    reference: Option<&Reference>,
    Release { key, user }: &Release,
    now: Time,
) -> Entry {
    let details = Details::Release { hold: hold.id.clone() };
    Entry {
        held: hold.remaining.lost(),
        user: Some(user.clone()),
        reference: reference.cloned(),
        names_no_user: true,
        ..Entry::new(&hold.team, Some(key.clone()), details, now)
    }
}
