//! Ledger entries: each is the line in the history and the guard for exactly once.

use super::Store;
use super::dynamo::from_item;
use super::dynamo::keys::{self, Item};
use super::dynamo::transaction::{Leg, Transaction};
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::Entry;

/// The result of a request that puts an entry: a charge, a hold or a gift.
#[derive(Clone, Debug)]
pub enum EntryResult {
    /// The entry was put.
    Created(Entry),
    /// The same request put it before.
    Replayed(Entry),
    /// No entry was put. After [`Error::Busy`] and [`Error::Internal`] it may have been put: the same request is then a
    /// replay.
    Refused(Error),
}

impl EntryResult {
    /// The result of a request whose key has an entry, by the image of that entry.
    pub(super) fn of_image(image: Item, asked: &Entry) -> Result<Self, Error> {
        Ok(Self::of_existing(from_item(image)?, asked))
    }

    /// The result of a request whose key has this entry.
    pub(super) fn of_existing(entry: Entry, asked: &Entry) -> Self {
        if entry.answers(asked) { Self::Replayed(entry) } else { Self::Refused(Error::KeyReused) }
    }
}

impl Transaction {
    /// Puts an entry that must not exist yet, into the table and the history.
    pub(super) fn put_entry(&mut self, entry: &Entry) -> Result<Leg, Error> {
        let mut keys = keys::in_history(entry);
        keys.extend(keys::entry(entry));
        self.put_new(entry, keys)
    }
}

impl Store {
    /// The entry with an id.
    pub(super) async fn entry_read(&self, team: &TeamId, id: &Id) -> Result<Option<Entry>, Error> {
        self.item_get(keys::entry_of(team, id)).await?.map(from_item).transpose()
    }

    /// The entry of an earlier request with the same key, if that request was the same, see [`Entry::answers`].
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn entry_replay(&self, asked: &Entry) -> Result<Option<Entry>, Error> {
        let Some(found) = self.entry_read(&asked.team, &asked.id).await? else { return Ok(None) };
        Ok(found.answers(asked).then_some(found))
    }

    /// The result of a refused request: a replay if its key has an entry, else the refusal.
    pub(super) async fn entry_refuse(
        &self,
        asked: &Entry,
        refusal: Error,
    ) -> Result<EntryResult, Error> {
        Ok(match self.entry_read(&asked.team, &asked.id).await? {
            Some(entry) => EntryResult::of_existing(entry, asked),
            None => EntryResult::Refused(refusal),
        })
    }
}
