//! Where everything is in the table: keys, index attributes and their names.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::Date;

use crate::domain::ids::{AccountId, Id, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::monitored_account::MonitoredAccount;
use crate::domain::statement::Statement;
use crate::domain::time::Time;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// The index that lists entries by team and time.
pub const HISTORY_INDEX: &str = "history";
/// The index of all that is due at some time.
pub const DUE_INDEX: &str = "due";
/// The digits that number the shards of both indexes. An index partition takes a thousand writes
/// a second, as a table partition does; sixteen of them keep up with a busy team.
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

/// The number of partitions that hold a team's open holds: few, so that they are read together at
/// little cost, and enough that captures do not slow each other down.
pub const HOLD_SHARDS: u32 = 8;

const HOLDS: &str = "HOLDS#";

/// One of the partitions of a team's open holds.
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

/// What an open hold's expiry puts into the index of what is due.
#[must_use]
pub fn hold_due(team: &TeamId) -> (String, AttributeValue) {
    ("due".to_owned(), text(due_shard_of(team)))
}

/// The key of a closed hold. It has a partition of its own, so that reading the open ones does not
/// read it.
#[must_use]
pub fn closed_hold(team: &TeamId, id: &Id) -> Item {
    key(format!("HOLD#{team}#{id}"), "HOLD")
}

/// What the sort keys of statements begin with.
const STATEMENTS: &str = "CYCLE#";

/// The key of a statement, in the partition of its team's pool, in the order of the cycles.
#[must_use]
pub fn statement(statement: &Statement) -> Item {
    let Statement { start, number, .. } = statement;
    key(team(&statement.team), &format!("{STATEMENTS}{start}#{number:08}"))
}

/// Where the statements are of the cycles that started on a day, or all of them.
#[must_use]
pub fn statements(start: Option<Date>) -> (String, String) {
    let first = start.map_or_else(|| STATEMENTS.to_owned(), |day| format!("{STATEMENTS}{day}"));
    // '~' sorts above all that can follow.
    let last = format!("{first}~");
    (first, last)
}

/// The key of a lane, which has a partition of its own as a hold has.
#[must_use]
pub fn lane(team: &TeamId, id: &Id) -> Item {
    key(format!("LANE#{team}#{id}"), "LANE")
}

/// The partition of the markers of a team's open lanes. It is not the pool's, whose writes are
/// scarce just when lanes are taken.
#[must_use]
pub fn lanes(team: &TeamId) -> String {
    format!("{LANES}{team}")
}

const LANES: &str = "LANES#";

/// The key of the marker of an open lane. It stays the same when the lane is prolonged.
#[must_use]
pub fn lane_marker_key(team: &TeamId, id: &Id) -> Item {
    key(lanes(team), id.as_str())
}

/// The marker of an open lane, which is due when it expires.
#[must_use]
pub fn lane_marker(team: &TeamId, id: &Id, expires_at: Time) -> Item {
    let mut item = lane_marker_key(team, id);
    item.extend(texts([("due", due_shard_of(team)), ("due_at", expires_at.to_string())]));
    item
}

/// The lane that a marker stands for.
#[must_use]
pub fn lane_of_marker(marker: &Item) -> Option<Id> {
    marker.get("sk")?.as_s().ok()?.parse().ok()
}

/// What the sort keys of monitored accounts begin with.
pub const ACCOUNTS: &str = "ACCOUNT#";
/// Where the sort keys of monitored accounts end: `$` comes just after `#`.
pub const ACCOUNTS_END: &str = "ACCOUNT$";

/// The key of a monitored account, in the partition of its team's pool.
#[must_use]
pub fn account(team: &TeamId, id: &AccountId) -> Item {
    key(self::team(team), &format!("{ACCOUNTS}{id}"))
}

/// The key of a monitored account, and when it is due if it is.
#[must_use]
pub fn account_with_due(account: &MonitoredAccount) -> Item {
    let mut item = self::account(&account.team, &account.id);
    if let Some(at) = account.due_at() {
        item.extend(texts([("due", due_shard_of(&account.team)), ("due_at", at.to_string())]));
    }
    item
}

/// The monitored account that something due is, if it is one.
#[must_use]
pub fn account_of_due(key: &Item) -> Option<AccountId> {
    key.get("sk")?.as_s().ok()?.strip_prefix(ACCOUNTS)?.parse().ok()
}

/// The time at which something is due.
#[must_use]
pub fn due_at(item: &Item) -> Option<Time> {
    item.get("due_at")?.as_s().ok()?.parse().ok()
}

/// The team that something due belongs to.
#[must_use]
pub fn team_of_due(key: &Item) -> Option<TeamId> {
    let partition = key.get("pk")?.as_s().ok()?;
    let of_hold = || Some(partition.strip_prefix(HOLDS)?.rsplit_once('#')?.0);
    let of_lane = || partition.strip_prefix(LANES);
    partition.strip_prefix(TEAM).or_else(of_hold).or_else(of_lane)?.parse().ok()
}

/// The key of a ledger entry. Each has a partition of its own, so that a busy team's ledger
/// spreads over the table.
#[must_use]
pub fn entry(entry: &Entry) -> Item {
    entry_of(&entry.team, &entry.id)
}

/// The key of the ledger entry with that id.
#[must_use]
pub fn entry_of(team: &TeamId, id: &Id) -> Item {
    key(format!("ENTRY#{team}#{id}"), ENTRY)
}

const ENTRY: &str = "ENTRY";

/// What puts an entry into the history.
#[must_use]
pub fn in_history(entry: &Entry) -> Item {
    let shard = entry.id.as_str().chars().next_back().unwrap_or('0');
    let position = position(entry.at, &entry.id);
    texts([("history", history_shard(&entry.team, shard)), ("position", position)])
}

/// One shard of a team's history.
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

const PURCHASE: &str = "PURCHASE";

/// What kinds of items there are that events tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Ledger entries.
    Entry,
    /// Purchases.
    Purchase,
    /// Pools.
    Pool,
    /// Monitored accounts.
    Account,
}

/// What an item is, by its key; `None` for what no event tells of.
#[must_use]
pub fn family(item: &Item) -> Option<Family> {
    match item.get("sk")?.as_s().ok()?.as_str() {
        ENTRY => Some(Family::Entry),
        PURCHASE => Some(Family::Purchase),
        POOL => Some(Family::Pool),
        sort if sort.starts_with(ACCOUNTS) => Some(Family::Account),
        _ => None,
    }
}

/// One shard of what is due.
#[must_use]
pub fn due_shard(shard: char) -> String {
    format!("DUE#{shard}")
}

/// The shard in which a team's affairs are due.
#[must_use]
pub fn due_shard_of(team: &TeamId) -> String {
    let sum = team.as_str().bytes().fold(0_u8, u8::wrapping_add);
    let shard = SHARDS.get(usize::from(sum & 15)).copied().unwrap_or('0');
    due_shard(shard)
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
