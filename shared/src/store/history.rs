//! The history of a team, newest first: a merge of the shards of the index.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use futures_util::future::try_join_all;

use super::Store;
use super::dynamo::from_item;
use super::dynamo::keys::{self, Item, SHARDS};
use crate::domain::Error;
use crate::domain::ids::{Id, TeamId, UserId};
use crate::domain::ledger::entry::{Entry, Kind};
use crate::domain::time::Time;

/// A page ends after this many rounds of reads, full or not, so that a rare filter over a long
/// history answers in time. The next page continues there.
const READ_ROUNDS_MAX: usize = 5;

/// A filter of entries.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only entries of this kind.
    pub kind: Option<Kind>,
    /// Only entries of this action.
    pub action: Option<String>,
    /// Only entries of this user.
    pub user: Option<UserId>,
    /// Only entries from this instant on.
    pub from: Option<Time>,
    /// Only entries before this instant.
    pub to: Option<Time>,
    /// The entries of due changes that are not written yet. They are listed with those of the table.
    pub unwritten: Vec<Entry>,
}

/// A position in the history: that of an entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(String);

/// A page of entries, newest first.
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
        Ok(Self(keys::position(at, &id)))
    }
}

impl Selection {
    /// The lowest and highest position of the selection after a position.
    fn range(&self, after: Option<&Position>) -> (String, String) {
        // '0' sorts before all times and '~' after them.
        let low = self.from.map_or("0".to_owned(), |from| from.to_string());
        let end = self.to.map_or("~".to_owned(), |to| to.to_string());
        let high = after.map_or(end.clone(), |Position(after)| after.clone().min(end));
        (low, high)
    }

    /// The attributes that must be equal, with their values.
    fn filters(&self) -> Vec<(&'static str, String)> {
        [
            ("kind", self.kind.as_ref().map(|kind| kind.as_str().to_owned())),
            ("action", self.action.clone()),
            ("user", self.user.as_ref().map(ToString::to_string)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// The selected unwritten entries after a position, newest first, as a shard read to its end.
    fn unwritten(&self, after: Option<&Position>) -> Shard {
        let is_selected = |entry: &&Entry| {
            self.kind.as_ref().is_none_or(|kind| *kind == entry.kind())
                && self.action.as_ref().is_none_or(|action| {
                    entry.charged().is_some_and(|charged| charged.action == *action)
                })
                && self.user.as_ref().is_none_or(|user| Some(user) == entry.user.as_ref())
                && self.from.is_none_or(|from| from <= entry.at)
                && self.to.is_none_or(|to| entry.at < to)
        };
        let positioned =
            |entry: &Entry| (Position(keys::position(entry.at, &entry.id)), entry.clone());
        let selected = self.unwritten.iter().filter(is_selected).map(positioned);
        let mut fetched: Vec<_> =
            selected.filter(|(position, _)| after.is_none_or(|after| position < after)).collect();
        fetched.sort_by(|(one, _), (other, _)| other.cmp(one));
        Shard { digit: None, fetched: fetched.into(), read_to: ReadTo::End }
    }
}

/// A shard and the part of it that was read: all entries newer than `read_to`.
struct Shard {
    /// `None` for the unwritten entries.
    digit: Option<char>,
    fetched: VecDeque<(Position, Entry)>,
    read_to: ReadTo,
}

/// The position down to which a shard was read, ordered from oldest to newest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum ReadTo {
    End,
    Position(Position),
    Start,
}

impl Store {
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
            let frontier =
                shards.iter().map(|shard| &shard.read_to).max().cloned().unwrap_or(ReadTo::End);
            while entries.len() <= limit
                && let Some(entry) = pop_newest(&mut shards, &frontier)
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
            try_join_all(behind.map(|shard| self.fetch(team, selection, after, chunk, shard)))
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
        Ok(Page { entries: entries.into_iter().map(|(_, entry)| entry).collect(), next })
    }

    /// Reads the next `chunk` entries of a shard.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    async fn fetch(
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
            .scan_index_forward(false)
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
            // The range includes its upper end, which the previous page contains.
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

/// Removes and returns the newest fetched entry; `None` if it is older than `frontier`, because a
/// shard may contain a newer entry that was not read.
fn pop_newest(shards: &mut [Shard], frontier: &ReadTo) -> Option<(Position, Entry)> {
    let newest = |shard: &Shard| {
        shard.fetched.front().map(|(position, _)| ReadTo::Position(position.clone()))
    };
    let shard = shards.iter_mut().max_by_key(|shard| newest(shard))?;
    let front = newest(shard)?;
    if front >= *frontier { shard.fetched.pop_front() } else { None }
}

fn position_of(item: &Item) -> Result<Position, Error> {
    let text = item.get("position").and_then(|value| value.as_s().ok());
    text.map(|text| Position(text.clone()))
        .ok_or_else(|| Error::internal("an entry has no position"))
}
