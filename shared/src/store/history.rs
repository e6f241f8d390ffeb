//! The history of a team, newest or oldest first: a merge of the shards of the index.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use futures_util::future::try_join_all;

use super::Store;
use super::dynamo::from_item;
use super::dynamo::keys::{self, Item, SHARDS};
use crate::domain::Error;
use crate::domain::ids::{Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Entry, Kind};
use crate::domain::time::Time;

/// A page ends after this many rounds of reads, full or not, so that a rare filter over a long
/// history answers in time. The next page continues there.
const READ_ROUNDS_MAX: usize = 5;

/// The order of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// A filter of entries, and their order.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The order.
    pub order: Order,
    /// Only entries of this kind.
    pub kind: Option<Kind>,
    /// Only entries of this action.
    pub action: Option<String>,
    /// Only entries of this user.
    pub user: Option<UserId>,
    /// Only entries with this reference.
    pub reference: Option<Reference>,
    /// Only entries with this key, of any caller.
    pub key: Option<Key>,
    /// Only entries of this hold.
    pub hold: Option<Id>,
    /// Only entries from this instant on.
    pub from: Option<Time>,
    /// Only entries before this instant.
    pub to: Option<Time>,
    /// The entries of due changes that are not written yet. They are listed with those of the table.
    pub unwritten: Vec<Entry>,
}

/// A position in the history: that of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(String);

/// A page of entries.
#[derive(Clone, Debug)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The position after which the next page starts; `None` on the last page.
    pub next: Option<Position>,
}

/// The text is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor of this history")]
pub struct InvalidPosition;

impl Position {
    /// The position of an item of that time.
    pub(super) fn new(at: Time, id: &Id) -> Self {
        Self(keys::position(at, id))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (at, id) = text.split_once('#').ok_or(InvalidPosition)?;
        let at: Time = at.parse().map_err(|_| InvalidPosition)?;
        let id: Id = id.parse().map_err(|_| InvalidPosition)?;
        Ok(Self::new(at, &id))
    }
}

impl Selection {
    /// The lowest and highest position of the selection after a position.
    fn range(&self, after: Option<&Position>) -> (String, String) {
        // '0' sorts before all times and '~' after them.
        let low = self.from.map_or("0".to_owned(), |from| from.to_string());
        let high = self.to.map_or("~".to_owned(), |to| to.to_string());
        match (after, self.order) {
            (None, _) => (low, high),
            (Some(Position(after)), Order::Descending) => (low, high.min(after.clone())),
            (Some(Position(after)), Order::Ascending) => (low.max(after.clone()), high),
        }
    }

    /// Compares two positions: the one that is listed first is less.
    fn compare(&self, one: &Position, other: &Position) -> Ordering {
        match self.order {
            Order::Descending => other.0.cmp(&one.0),
            Order::Ascending => one.0.cmp(&other.0),
        }
    }

    /// The attributes that must be equal, with their values.
    fn filters(&self) -> Vec<(&'static str, String)> {
        [
            ("kind", self.kind.as_ref().map(|kind| kind.as_str().to_owned())),
            ("action", self.action.clone()),
            ("user", self.user.as_ref().map(ToString::to_string)),
            ("reference", self.reference.as_ref().map(ToString::to_string)),
            ("key", self.key.as_ref().map(ToString::to_string)),
            ("hold", self.hold.as_ref().map(|hold| hold.as_str().to_owned())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// Whether an unwritten entry is selected. It has no caller's key and no action.
    fn selects(&self, entry: &Entry) -> bool {
        let equals = |(name, wanted): (&str, String)| match name {
            "kind" => entry.kind().as_str() == wanted,
            "hold" => entry.hold().is_some_and(|hold| hold.as_str() == wanted),
            "reference" => entry.reference.as_ref().is_some_and(|text| text.as_str() == wanted),
            "user" => entry.user.as_ref().is_some_and(|user| user.as_str() == wanted),
            _ => false,
        };
        self.filters().into_iter().all(equals)
            && self.from.is_none_or(|from| from <= entry.at)
            && self.to.is_none_or(|to| entry.at < to)
    }

    /// Whether an entry is an unwritten release whose reference was not read.
    fn lacks_reference(&self, entry: &Entry) -> bool {
        entry.kind() == Kind::Release
            && entry.reference.is_none()
            && self.unwritten.iter().any(|unwritten| unwritten.id == entry.id)
    }

    /// The selected unwritten entries after a position, in order, as a shard read to its end.
    fn unwritten(&self, after: Option<&Position>) -> Shard {
        let positioned = |entry: &Entry| (Position::new(entry.at, &entry.id), entry.clone());
        let is_after = |(position, _): &(Position, Entry)| {
            after.is_none_or(|after| self.compare(after, position).is_lt())
        };
        let selected = self.unwritten.iter().filter(|entry| self.selects(entry)).map(positioned);
        let mut fetched: Vec<_> = selected.filter(is_after).collect();
        fetched.sort_by(|(one, _), (other, _)| self.compare(one, other));
        Shard { digit: None, fetched: fetched.into(), read_to: ReadTo::End }
    }

    /// The part of the history that all shards were read to: the first of their positions.
    fn frontier(&self, shards: &[Shard]) -> ReadTo {
        let read_to = shards.iter().map(|shard| &shard.read_to);
        read_to
            .min_by(|one, other| self.compare_read_to(one, other))
            .cloned()
            .unwrap_or(ReadTo::End)
    }

    fn compare_read_to(&self, one: &ReadTo, other: &ReadTo) -> Ordering {
        match (one, other) {
            (ReadTo::Position(one), ReadTo::Position(other)) => self.compare(one, other),
            _ => one.rank().cmp(&other.rank()),
        }
    }

    /// Removes and returns the first fetched entry; `None` if it is listed after the frontier, because a
    /// shard may contain an entry before it that was not read.
    fn pop_first(&self, shards: &mut [Shard], frontier: &ReadTo) -> Option<(Position, Entry)> {
        let front = |shard: &Shard| {
            shard.fetched.front().map_or(ReadTo::End, |(first, _)| ReadTo::Position(first.clone()))
        };
        let by_front =
            |one: &&mut Shard, other: &&mut Shard| self.compare_read_to(&front(one), &front(other));
        let shard = shards.iter_mut().min_by(by_front)?;
        let is_known = self.compare_read_to(&front(shard), frontier).is_le();
        if is_known { shard.fetched.pop_front() } else { None }
    }
}

/// A shard and the part of it that was read: all entries up to `read_to`.
struct Shard {
    /// `None` for the unwritten entries.
    digit: Option<char>,
    fetched: VecDeque<(Position, Entry)>,
    read_to: ReadTo,
}

/// The position to which a shard was read.
#[derive(Clone, PartialEq, Eq)]
enum ReadTo {
    Start,
    Position(Position),
    End,
}

impl ReadTo {
    const fn rank(&self) -> u8 {
        match self {
            Self::Start => 0,
            Self::Position(_) => 1,
            Self::End => 2,
        }
    }
}

impl Store {
    /// Adds the entries of due changes that are not written yet to a selection. The references of their holds are read
    /// if the selection is by reference; otherwise a page reads those of its entries.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown team; [`Error::Busy`], [`Error::Internal`].
    pub async fn unwritten_entries_read(
        &self,
        team: &TeamId,
        selection: &mut Selection,
        now: Time,
    ) -> Result<(), Error> {
        selection.unwritten = self.projection_read(team, now).await?.entries;
        if selection.reference.is_some() {
            let is_release = |entry: &&mut Entry| entry.kind() == Kind::Release;
            let releases = selection.unwritten.iter_mut().filter(is_release);
            self.references_add(team, releases.collect()).await?;
        }
        Ok(())
    }

    /// Adds the references of their holds to releases.
    async fn references_add(&self, team: &TeamId, releases: Vec<&mut Entry>) -> Result<(), Error> {
        let holds: Vec<Id> = releases.iter().filter_map(|entry| entry.hold().cloned()).collect();
        let references = self.hold_references_read(team, &holds).await?;
        for release in releases {
            release.reference = release.hold().and_then(|hold| references.get(hold)).cloned();
        }
        Ok(())
    }

    /// A page of the selection after a position: at most `limit` entries. It may have fewer although
    /// another page follows.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn history_list(
        &self,
        team: &TeamId,
        selection: &Selection,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Page, Error> {
        let unread =
            |digit| Shard { digit: Some(digit), fetched: VecDeque::new(), read_to: ReadTo::Start };
        let mut shards: Vec<Shard> = SHARDS.map(unread).into();
        shards.push(selection.unwritten(after));
        let chunk = chunk(selection, limit);
        let mut entries: Vec<(Position, Entry)> = Vec::new();
        let mut rounds = 0;
        let reached = loop {
            let frontier = selection.frontier(&shards);
            while entries.len() <= limit
                && let Some(entry) = selection.pop_first(&mut shards, &frontier)
            {
                // An unwritten entry may also be read from the table if it was written meanwhile.
                if entries.last().is_none_or(|(last, _)| *last != entry.0) {
                    entries.push(entry);
                }
            }
            if entries.len() > limit || frontier == ReadTo::End {
                break ReadTo::End;
            }
            if rounds == READ_ROUNDS_MAX {
                break frontier;
            }
            rounds = rounds.saturating_add(1);
            let behind = shards
                .iter_mut()
                .filter(|shard| shard.read_to != ReadTo::End && shard.fetched.is_empty());
            try_join_all(
                behind.map(|shard| self.history_fetch(team, selection, after, chunk, shard)),
            )
            .await?;
        };
        let next = if entries.len() > limit {
            entries.truncate(limit);
            entries.last().map(|(position, _)| position.clone())
        } else {
            match reached {
                ReadTo::Position(position) => Some(position),
                ReadTo::Start | ReadTo::End => None,
            }
        };
        let mut entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
        let lacking = entries.iter_mut().filter(|entry| selection.lacks_reference(entry));
        self.references_add(team, lacking.collect()).await?;
        Ok(Page { entries, next })
    }

    /// Reads the next `chunk` entries of a shard.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    async fn history_fetch(
        &self,
        team: &TeamId,
        selection: &Selection,
        after: Option<&Position>,
        chunk: i32,
        shard: &mut Shard,
    ) -> Result<(), Error> {
        let Some(digit) = shard.digit else { return Ok(()) };
        let after = match &shard.read_to {
            ReadTo::Position(position) => Some(position),
            ReadTo::Start | ReadTo::End => after,
        };
        let (low, high) = selection.range(after);
        if low > high {
            shard.read_to = ReadTo::End;
            return Ok(());
        }
        let after = after.cloned();
        let mut query = self
            .client
            .query()
            .table_name(&*self.table)
            .index_name(keys::HISTORY_INDEX)
            .key_condition_expression("history = :shard AND #position BETWEEN :low AND :high")
            .expression_attribute_names("#position", "position")
            .expression_attribute_values(":shard", keys::text(keys::history_shard(team, digit)))
            .expression_attribute_values(":low", keys::text(low))
            .expression_attribute_values(":high", keys::text(high))
            .scan_index_forward(selection.order == Order::Ascending)
            .limit(chunk);
        let filters = selection.filters();
        if !filters.is_empty() {
            let terms: Vec<String> =
                filters.iter().map(|(name, _)| format!("#{name} = :{name}")).collect();
            query = query.filter_expression(terms.join(" AND "));
            for (name, value) in filters {
                query = query
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), keys::text(value));
            }
        }
        let found = self.items_query(query).await?;
        for item in found.items.unwrap_or_default() {
            let position = position_of(&item)?;
            // The range includes its ends, one of which the previous page contains.
            if Some(&position) != after.as_ref() {
                let entry = from_item(item)?;
                shard.fetched.push_back((position, entry));
            }
        }
        shard.read_to = match found.last_evaluated_key {
            Some(key) => ReadTo::Position(position_of(&key)?),
            None => ReadTo::End,
        };
        Ok(())
    }
}

/// The entries that one query of a shard reads.
fn chunk(selection: &Selection, limit: usize) -> i32 {
    let even_share = limit.div_ceil(SHARDS.len());
    let wanted = if selection.filters().is_empty() {
        even_share.saturating_mul(2).saturating_add(4)
    } else {
        100
    };
    i32::try_from(wanted).unwrap_or(i32::MAX)
}

fn position_of(item: &Item) -> Result<Position, Error> {
    let text = item.get("position").and_then(|value| value.as_s().ok());
    text.map(|text| Position(text.clone()))
        .ok_or_else(|| Error::internal("an entry has no position"))
}
