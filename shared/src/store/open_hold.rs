//! The open holds of a team, as items. They share a few partitions, so that they are read together. A closed hold
//! moves to a partition of its own.
//!
//! The item of an open hold has at most 370 bytes, so that a balance with [`OPEN_HOLDS_MAX`] holds costs at most 100
//! read units: the reference is in the entry of the hold's taking only, and the counters are bounded by
//! [`HOLD_COUNTERS_MAX`](super::counters::HOLD_COUNTERS_MAX).
//!
//! [`OPEN_HOLDS_MAX`]: crate::domain::limits::OPEN_HOLDS_MAX

use std::collections::HashMap;

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::Store;
use super::dynamo::expression::Expression;
use super::dynamo::keys::{self, HOLD_SHARDS, Item};
use super::dynamo::transaction::{Leg, Transaction};
use super::dynamo::{from_item, to_item};
use super::pool::{Returned, received};
use crate::domain::hold::{Hold, HoldStatus};
use crate::domain::ids::{Id, Reference, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::pool::Pool;
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most entries of holds that are read concurrently.
const CONCURRENT_READS_MAX: usize = 32;

/// An open hold as the table stores it. The key contains the team; the other attributes of [`Hold`] follow.
#[derive(Serialize, Deserialize)]
struct OpenHold {
    sk: Id,
    credits: Credits,
    remaining: Credits,
    epoch: u64,
    reset_epoch: u64,
    taken_at: Time,
    due_at: Time,
    #[serde(default)]
    used: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<u64>,
    /// Absent until the first move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moves: Option<u64>,
}

/// An open hold and its item.
#[derive(Clone, Debug)]
pub(super) struct StoredHold {
    pub(super) hold: Hold,
    item: Item,
}

impl StoredHold {
    pub(super) fn read(team: &TeamId, item: Item) -> Result<Self, Error> {
        let stored: OpenHold = from_item(item.clone())?;
        let hold = Hold {
            id: stored.sk,
            team: team.clone(),
            credits: stored.credits,
            remaining: stored.remaining,
            captured: stored.credits.excess_over(stored.remaining),
            status: HoldStatus::Open,
            epoch: stored.epoch,
            reset_epoch: stored.reset_epoch,
            taken_at: stored.taken_at,
            expires_at: stored.due_at,
            used: stored.used,
            pause: stored.pause,
            moves: stored.moves.unwrap_or_default(),
        };
        Ok(Self { hold, item })
    }

    /// The item of a new hold.
    pub(super) fn new_item(hold: &Hold) -> Result<Item, Error> {
        let stored = OpenHold {
            sk: hold.id.clone(),
            credits: hold.credits,
            remaining: hold.remaining,
            epoch: hold.epoch,
            reset_epoch: hold.reset_epoch,
            taken_at: hold.taken_at,
            due_at: hold.expires_at,
            used: hold.used.clone(),
            pause: hold.pause,
            moves: Some(hold.moves).filter(|moves| *moves > 0),
        };
        let mut item = to_item(&stored)?;
        item.extend(keys::open_hold(&hold.team, &hold.id));
        item.extend([keys::hold_due(&hold.team)]);
        Ok(item)
    }

    /// The item of the hold after it was closed. Attributes of a newer version of the code stay.
    fn closed_item(&self, status: HoldStatus) -> Result<Item, Error> {
        let mut item = self.item.clone();
        for open_only in ["due", "due_at"] {
            item.remove(open_only);
        }
        item.extend(to_item(&self.hold.closed(status))?);
        item.extend(keys::closed_hold(&self.hold.team, &self.hold.id));
        Ok(item)
    }
}

/// A hold to close, with the entries of its end.
pub(super) struct Closing<'a> {
    pub(super) stored: &'a StoredHold,
    pub(super) status: HoldStatus,
    pub(super) entries: Vec<Entry>,
}

impl Store {
    pub(super) async fn open_hold_read(
        &self,
        team: &TeamId,
        id: &Id,
    ) -> Result<Option<StoredHold>, Error> {
        let item = self.item_get(keys::open_hold(team, id)).await?;
        item.map(|item| StoredHold::read(team, item)).transpose()
    }

    /// The open holds of a team, expired or not. If the pool has none, none is read.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn open_holds_read(&self, pool: &Pool) -> Result<Vec<StoredHold>, Error> {
        if pool.open_holds == 0 {
            return Ok(Vec::new());
        }
        // All characters of an id sort between these.
        let shards = (0..HOLD_SHARDS)
            .map(|shard| self.items_range(keys::holds(&pool.team, shard), "-", "~"));
        let items = try_join_all(shards).await?.into_iter().flatten();
        items.map(|item| StoredHold::read(&pool.team, item)).collect()
    }

    /// The references of holds, by hold. Holds without a reference are absent.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn hold_references_read(
        &self,
        team: &TeamId,
        holds: &[Id],
    ) -> Result<HashMap<Id, Reference>, Error> {
        let mut references = HashMap::new();
        for part in holds.chunks(CONCURRENT_READS_MAX) {
            let ids: Vec<Id> = part.iter().map(|hold| hold.with_prefix("e")).collect();
            let reads = ids.iter().map(|id| self.entry_read(team, id));
            let entries = try_join_all(reads).await?;
            let found = part.iter().zip(entries);
            references
                .extend(found.filter_map(|(hold, entry)| Some((hold.clone(), entry?.reference?))));
        }
        Ok(references)
    }

    /// The open holds of a team that expired by a time, the first to expire first.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(super) async fn expired_holds_read(
        &self,
        pool: &Pool,
        by: Time,
    ) -> Result<Vec<StoredHold>, Error> {
        let mut holds = self.open_holds_read(pool).await?;
        holds.retain(|stored| stored.hold.expires_at <= by);
        holds.sort_by_key(|stored| stored.hold.expires_at);
        Ok(holds)
    }
}

impl Transaction {
    /// Closes holds and returns what remains of them to the pool. Returns the leg of the last of their entries.
    pub(super) fn close_holds(
        &mut self,
        pool: &Pool,
        closings: Vec<Closing<'_>>,
        now: Time,
    ) -> Result<Option<Leg>, Error> {
        let (mut after, mut returned) = (pool.clone(), Returned::default());
        let mut last_entry = None;
        for Closing { stored, status, entries } in closings {
            let hold = &stored.hold;
            let lapsed = after.receive_hold(hold, now)?;
            returned.held = returned.held.try_add(hold.credits)?;
            returned.holds = returned.holds.saturating_add(1);
            returned.used.merge(&hold.used)?;
            let open = Expression::on(keys::open_hold(&hold.team, &hold.id))
                .when("remaining = :remaining AND used = :used")
                .value(":remaining", hold.remaining)
                .value(":used", &hold.used);
            self.delete(open)?;
            self.put(stored.closed_item(status)?)?;
            let at = entries.first().map_or(now, |entry| entry.at);
            for entry in hold.lapse(lapsed, at).into_iter().chain(entries) {
                last_entry = Some(self.put_entry(&entry)?);
            }
        }
        self.update(received(pool, &after, &returned, now)?)?;
        Ok(last_entry)
    }
}
