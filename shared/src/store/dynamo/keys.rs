//! The keys and index attributes of all items.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::Date;

use crate::domain::ids::{AccountId, Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::monitored_account::MonitoredAccount;
use crate::domain::purchase::Purchase;
use crate::domain::statement::Statement;
use crate::domain::time::Time;

/// An item of the table: attributes by name.
pub type Item = HashMap<String, AttributeValue>;

/// The index of entries and purchases by team and time.
pub const HISTORY_INDEX: &str = "history";
/// The sparse index of items with a due time.
pub const DUE_INDEX: &str = "due";
/// The digits of the shards of both indexes. An index partition takes 1,000 writes a second, as a
/// table partition does.
pub const SHARDS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// The key of a team's pool.
#[must_use]
pub fn pool(team: &TeamId) -> Item {
    key(self::team(team), POOL)
}

/// The partition of a team's pool, statements and monitored accounts.
#[must_use]
pub fn team(team: &TeamId) -> String {
    format!("{TEAM}{team}")
}

const TEAM: &str = "TEAM#";
const POOL: &str = "POOL";

/// The number of partitions for a team's open holds. A balance reads all of them; captures are spread
/// over them.
pub const HOLD_SHARDS: u32 = 8;

const HOLDS: &str = "HOLDS#";

/// A partition of a team's open holds; `shard` is below [`HOLD_SHARDS`].
#[must_use]
pub fn holds(team: &TeamId, shard: u32) -> String {
    format!("{HOLDS}{team}#{shard}")
}

/// The key of an open hold.
#[must_use]
pub fn open_hold(team: &TeamId, id: &Id) -> Item {
    let digit = id.as_str().chars().next_back().and_then(|digit| digit.to_digit(16));
    key(holds(team, digit.unwrap_or_default() % HOLD_SHARDS), id.as_str())
}

/// The attribute that puts an open hold into the index of due items.
#[must_use]
pub fn hold_due(team: &TeamId) -> (String, AttributeValue) {
    ("due".to_owned(), text(due_shard_of(team)))
}

/// The key of a closed hold. It is outside the partitions of open holds, which are read as a whole.
#[must_use]
pub fn closed_hold(team: &TeamId, id: &Id) -> Item {
    key(format!("HOLD#{team}#{id}"), "HOLD")
}

/// The prefix of the sort keys of statements.
const STATEMENT_PREFIX: &str = "CYCLE#";

/// The key of a statement. It sorts by cycle in the partition of the team's pool.
#[must_use]
pub fn statement(statement: &Statement) -> Item {
    let Statement { start, number, .. } = statement;
    key(team(&statement.team), &format!("{STATEMENT_PREFIX}{start}#{number:08}"))
}

/// The first and last sort key of the statements of the cycles that started on a day, or of all.
#[must_use]
pub fn statements(start: Option<Date>) -> (String, String) {
    let first =
        start.map_or_else(|| STATEMENT_PREFIX.to_owned(), |day| format!("{STATEMENT_PREFIX}{day}"));
    // '~' sorts after all characters that can follow.
    let last = format!("{first}~");
    (first, last)
}

/// The key of a lane, in a partition of its own: the owner writes it with each charge.
#[must_use]
pub fn lane(team: &TeamId, id: &Id) -> Item {
    key(format!("LANE#{team}#{id}"), "LANE")
}

/// The partition of the markers of a team's open lanes. It is not the pool's, which is busy when
/// lanes are opened.
#[must_use]
pub fn lanes(team: &TeamId) -> String {
    format!("{LANES}{team}")
}

const LANES: &str = "LANES#";

/// The key of the marker of an open lane. It stays the same when the lane is extended.
#[must_use]
pub fn lane_marker_key(team: &TeamId, id: &Id) -> Item {
    key(lanes(team), id.as_str())
}

/// The marker of an open lane, due when the lane expires.
#[must_use]
pub fn lane_marker(team: &TeamId, id: &Id, expires_at: Time) -> Item {
    let mut item = lane_marker_key(team, id);
    item.extend(texts([("due", due_shard_of(team)), ("due_at", expires_at.to_string())]));
    item
}

/// The id of a marker's lane; `None` if the item is not a marker.
#[must_use]
pub fn lane_of_marker(marker: &Item) -> Option<Id> {
    marker.get("sk")?.as_s().ok()?.parse().ok()
}

/// The prefix of the sort keys of monitored accounts.
pub const ACCOUNTS: &str = "ACCOUNT#";
/// The upper bound of the sort keys of monitored accounts: `$` follows `#`.
pub const ACCOUNTS_END: &str = "ACCOUNT$";

/// The key of a monitored account, in the partition of its team's pool.
#[must_use]
pub fn account(team: &TeamId, id: &AccountId) -> Item {
    key(self::team(team), &format!("{ACCOUNTS}{id}"))
}

/// The key of a monitored account, with its due time if it has one.
#[must_use]
pub fn account_with_due(account: &MonitoredAccount) -> Item {
    let mut item = self::account(&account.team, &account.id);
    if let Some(at) = account.due_at() {
        item.extend(texts([("due", due_shard_of(&account.team)), ("due_at", at.to_string())]));
    }
    item
}

/// The monitored account of a due item; `None` for another item.
#[must_use]
pub fn account_of_due(key: &Item) -> Option<AccountId> {
    key.get("sk")?.as_s().ok()?.strip_prefix(ACCOUNTS)?.parse().ok()
}

/// The due time of an item; `None` if it has none.
#[must_use]
pub fn due_at(item: &Item) -> Option<Time> {
    item.get("due_at")?.as_s().ok()?.parse().ok()
}

/// The team of a due item; `None` if the partition is unknown to this version.
#[must_use]
pub fn team_of_due(key: &Item) -> Option<TeamId> {
    let partition = key.get("pk")?.as_s().ok()?;
    let of_hold = || Some(partition.strip_prefix(HOLDS)?.rsplit_once('#')?.0);
    let of_lane = || partition.strip_prefix(LANES);
    partition.strip_prefix(TEAM).or_else(of_hold).or_else(of_lane)?.parse().ok()
}

/// The key of a ledger entry, in a partition of its own: a busy team's ledger spreads over the table.
#[must_use]
pub fn entry(entry: &Entry) -> Item {
    entry_of(&entry.team, &entry.id)
}

/// The key of the ledger entry with this id.
#[must_use]
pub fn entry_of(team: &TeamId, id: &Id) -> Item {
    key(format!("ENTRY#{team}#{id}"), ENTRY)
}

const ENTRY: &str = "ENTRY";

/// The attributes that put an entry into the history index.
#[must_use]
pub fn in_history(entry: &Entry) -> Item {
    let shard = entry.id.as_str().chars().next_back().unwrap_or('0');
    let position = position(entry.at, &entry.id);
    texts([("history", history_shard(&entry.team, shard)), ("position", position)])
}

/// A shard of a team's history.
#[must_use]
pub fn history_shard(team: &TeamId, shard: char) -> String {
    format!("{team}#{shard}")
}

/// The place of an entry in its team's history: by time, then by id.
#[must_use]
pub fn position(at: Time, id: &Id) -> String {
    format!("{at}#{id}")
}

/// The key of a purchase.
#[must_use]
pub fn purchase(team: &TeamId, id: &Id) -> Item {
    key(format!("PURCHASE#{team}#{id}"), PURCHASE)
}

/// The attributes that put a purchase into the list of its team's purchases, which shares the history index.
#[must_use]
pub fn in_purchases(purchase: &Purchase) -> Item {
    let position = position(purchase.at, &purchase.id);
    texts([("history", purchases(&purchase.team)), ("position", position)])
}

/// The partition of a team's purchases in the history index. No shard of a history has this name.
#[must_use]
pub fn purchases(team: &TeamId) -> String {
    format!("{team}#purchases")
}

/// The attributes that put a pending purchase into the index of due items, apart from those of `refill`.
#[must_use]
pub fn purchase_due(team: &TeamId, at: Time) -> Item {
    let partition = purchase_due_shard(shard_of(team));
    texts([("due", partition), ("due_at", at.to_string())])
}

/// A shard of the pending purchases in the index of due items.
#[must_use]
pub fn purchase_due_shard(shard: char) -> String {
    format!("PENDING#{shard}")
}

/// The team and the id of a due purchase; `None` for another item.
#[must_use]
pub fn purchase_of_due(key: &Item) -> Option<(TeamId, Id)> {
    let partition = key.get("pk")?.as_s().ok()?;
    let (team, id) = partition.strip_prefix("PURCHASE#")?.rsplit_once('#')?;
    Some((team.parse().ok()?, id.parse().ok()?))
}

const PURCHASE: &str = "PURCHASE";

/// The key of the team's customer at the payment provider.
#[must_use]
pub fn customer(team: &TeamId) -> Item {
    key(self::team(team), "CUSTOMER")
}

/// A kind of item whose changes are events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A ledger entry.
    Entry,
    /// A purchase.
    Purchase,
    /// A pool.
    Pool,
    /// A monitored account.
    Account,
}

/// The kind of an item by its sort key; `None` if its changes are no events.
#[must_use]
pub fn item_kind(item: &Item) -> Option<ItemKind> {
    match item.get("sk")?.as_s().ok()?.as_str() {
        ENTRY => Some(ItemKind::Entry),
        PURCHASE => Some(ItemKind::Purchase),
        POOL => Some(ItemKind::Pool),
        sort if sort.starts_with(ACCOUNTS) => Some(ItemKind::Account),
        _ => None,
    }
}

/// A shard of the index of due items.
#[must_use]
pub fn due_shard(shard: char) -> String {
    format!("DUE#{shard}")
}

/// The shard of a team's due items.
#[must_use]
pub fn due_shard_of(team: &TeamId) -> String {
    due_shard(shard_of(team))
}

fn shard_of(team: &TeamId) -> char {
    let sum = team.as_str().bytes().fold(0_u8, u8::wrapping_add);
    SHARDS.get(usize::from(sum & 15)).copied().unwrap_or('0')
}

/// A text as an attribute.
#[must_use]
pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number as an attribute.
#[must_use]
pub fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(partition: String, sort: &str) -> Item {
    texts([("pk", partition), ("sk", sort.to_owned())])
}

fn texts<const N: usize>(attributes: [(&str, String); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
}
