//! The table: the engine behind simulated latencies, conflicts, throughput limits and faults.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dynoxide::Database;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::query::QueryRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::errors::{CancellationReason, DynoxideError};
use dynoxide::types::{AttributeValue, ConsumedCapacity, Item, item_size};
use engine::limits::violation;
use engine::policy::denial;
use fastrand::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::store::keys::{DUE_INDEX, HISTORY_INDEX};
use tokio::time::sleep;

use crate::faults::{EACH_ITEM, Fault, Faults, NETWORK, READ, TRANSACTION, WRITE, varied};
use crate::limits::{Allowances, READ_UNIT, WRITE_UNIT};

/// The hash and the range attribute of each index.
const INDEXES: [(&str, &str); 2] = [(HISTORY_INDEX, "position"), (DUE_INDEX, "due_at")];

/// The counters of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls, including retries.
    pub round_trips: u64,
    /// Calls in conflict with another write.
    pub conflicts: u64,
    /// Calls throttled by a full partition or at random.
    pub throttled: u64,
    /// Write units, including those of indexes and of failed writes.
    pub write_units: u64,
}

/// An answer as it is sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn error(status: u16, kind: &str) -> Self {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}"}}"#);
        Self { status, body }
    }

    fn of<T: Serialize>(result: Result<T, DynoxideError>) -> Self {
        match result.map(|answer| serde_json::to_string(&answer)) {
            Ok(Ok(body)) => Self { status: 200, body },
            Ok(Err(_)) => Self::error(500, "InternalServerError"),
            Err(error) => Self { status: error.status_code(), body: error.to_json() },
        }
    }
}

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    partition: String,
    sort: String,
}

impl Place {
    fn of(item: &Item) -> Self {
        Self { partition: text(item, "pk"), sort: text(item, "sk") }
    }

    fn key(&self) -> Item {
        let text = |text: &String| AttributeValue::S(text.clone());
        Item::from([("pk".into(), text(&self.partition)), ("sk".into(), text(&self.sort))])
    }
}

fn text(item: &Item, attribute: &str) -> String {
    match item.get(attribute) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The positions of an item in the indexes: partition and sort key.
fn in_indexes(item: Option<&Item>) -> Vec<(String, String)> {
    let Some(item) = item else { return Vec::new() };
    let indexes = INDEXES.iter().filter(|(hash, _)| item.contains_key(*hash));
    indexes
        .map(|(hash, range)| (format!("{hash}/{}", text(item, hash)), text(item, range)))
        .collect()
}

#[derive(Debug)]
struct State {
    faults: Faults,
    chance: Rng,
    in_transaction: HashSet<Place>,
    writes: Allowances,
    reads: Allowances,
    tally: Tally,
}

pub(crate) struct Table {
    database: Database,
    state: Mutex<State>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Table").field(&self.state).finish()
    }
}

impl Table {
    pub(crate) fn new(database: Database, faults: Faults, seed: u64) -> Self {
        let state = State {
            faults,
            chance: Rng::with_seed(seed),
            in_transaction: HashSet::new(),
            writes: Allowances::default(),
            reads: Allowances::default(),
            tally: Tally::default(),
        };
        Self { database, state: Mutex::new(state) }
    }

    pub(crate) fn database(&self) -> Database {
        self.database.clone()
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn tally(&self) -> Tally {
        self.with(|state| std::mem::take(&mut state.tally))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.with(|state| state.faults = faults);
    }

    async fn takes(&self, median: Duration) {
        let time = self.with(|state| varied(median, &mut state.chance));
        sleep(time).await;
    }

    /// Answers a call. Returns `None` if the connection breaks.
    pub(crate) async fn serve(self: Arc<Self>, operation: String, body: Vec<u8>) -> Option<Answer> {
        let fault = self.with(|state| {
            state.tally.round_trips = state.tally.round_trips.saturating_add(1);
            state.faults.draw(&mut state.chance)
        });
        self.takes(NETWORK).await;
        let answer = match fault {
            Fault::Rejected => Answer::error(500, "InternalServerError"),
            Fault::Throttled => self.throttle(),
            Fault::InConflict | Fault::Broken | Fault::Silent | Fault::Spared => {
                self.answer(&operation, &body, fault == Fault::InConflict).await
            }
        };
        self.takes(NETWORK).await;
        match fault {
            Fault::Broken => None,
            Fault::Silent => std::future::pending().await,
            Fault::Rejected | Fault::Throttled | Fault::InConflict | Fault::Spared => Some(answer),
        }
    }

    async fn answer(&self, operation: &str, body: &[u8], in_conflict: bool) -> Answer {
        if let Some(message) = violation(body) {
            return Answer::of(Err::<(), _>(DynoxideError::ValidationException(message)));
        }
        if let Some(message) = denial(operation, body) {
            return Answer::of(Err::<(), _>(DynoxideError::AccessDeniedException(message)));
        }
        let answer = match operation {
            "GetItem" => self.get(body).await,
            "Query" => self.query(body).await,
            "UpdateItem" => self.update(body, in_conflict).await,
            "TransactWriteItems" => self.transact(body, in_conflict).await,
            _ => Ok(Answer::error(400, "UnknownOperationException")),
        };
        answer.unwrap_or_else(|_| Answer::error(400, "SerializationException"))
    }

    async fn get(&self, body: &[u8]) -> serde_json::Result<Answer> {
        let mut request: GetItemRequest = decode(body)?;
        request.return_consumed_capacity = Some("TOTAL".to_owned());
        let partition = Place::of(&request.key).partition;
        self.takes(READ).await;
        Ok(self.read(partition, || {
            self.database.get_item(request).map(|found| (found.consumed_capacity.clone(), found))
        }))
    }

    async fn query(&self, body: &[u8]) -> serde_json::Result<Answer> {
        let mut request: QueryRequest = decode(body)?;
        request.return_consumed_capacity = Some("TOTAL".to_owned());
        // All key conditions of the store begin with `partition key = :value`.
        let condition = request.key_condition_expression.clone().unwrap_or_default();
        let value = condition.split(' ').nth(2).unwrap_or_default();
        let values = request.expression_attribute_values.as_ref();
        let partition = match values.and_then(|values| values.get(value)) {
            Some(AttributeValue::S(text)) => text.clone(),
            _ => String::new(),
        };
        let partition = match &request.index_name {
            Some(index) => format!("{index}/{partition}"),
            None => partition,
        };
        self.takes(READ).await;
        Ok(self.read(partition, || {
            self.database.query(request).map(|found| (found.consumed_capacity.clone(), found))
        }))
    }

    fn read<T: Serialize>(
        &self,
        partition: String,
        read: impl FnOnce() -> Result<(Option<ConsumedCapacity>, T), DynoxideError>,
    ) -> Answer {
        if !self.with(|state| state.reads.has_room(&partition)) {
            return self.throttle();
        }
        let result = read();
        if let Ok((Some(consumed), _)) = &result {
            let time = READ_UNIT.mul_f64(consumed.capacity_units);
            self.with(|state| state.reads.take(partition, time));
        }
        Answer::of(result.map(|(_, found)| found))
    }

    async fn update(&self, body: &[u8], in_conflict: bool) -> serde_json::Result<Answer> {
        let request: UpdateItemRequest = decode(body)?;
        let places = [Place::of(&request.key)];
        self.takes(WRITE).await;
        Ok(match self.hindrance(&places, &[], in_conflict) {
            Some((_, Hindrance::Conflict)) => Answer::error(400, "TransactionConflictException"),
            Some((_, Hindrance::Throttle)) => {
                Answer::error(400, "ProvisionedThroughputExceededException")
            }
            None => Answer::of(self.write(&places, 1, || self.database.update_item(request))),
        })
    }

    async fn transact(&self, body: &[u8], in_conflict: bool) -> serde_json::Result<Answer> {
        let request: TransactWriteItemsRequest =
            TransactWriteItemsRequest { client_request_token: None, ..decode(body)? };
        let items = &request.transact_items;
        let places: Vec<Place> = items.iter().map(place).collect();
        let puts: Vec<&Item> =
            items.iter().filter_map(|item| Some(&item.put.as_ref()?.item)).collect();
        if let Some((leg, hindrance)) = self.hindrance(&places, &puts, in_conflict) {
            self.takes(WRITE).await;
            return Ok(Answer::of(Err::<(), _>(cancelled(places.len(), leg, hindrance))));
        }
        self.with(|state| state.in_transaction.extend(places.iter().cloned()));
        let more = u32::try_from(places.len().saturating_sub(2)).unwrap_or(u32::MAX);
        self.takes(TRANSACTION.saturating_add(EACH_ITEM.saturating_mul(more))).await;
        let result = self.write(&places, 2, || self.database.transact_write_items(request.clone()));
        self.with(|state| places.iter().for_each(|place| _ = state.in_transaction.remove(place)));
        Ok(Answer::of(result))
    }

    /// Returns the reason why a write must fail, and the index of the place at fault.
    fn hindrance(
        &self,
        places: &[Place],
        puts: &[&Item],
        in_conflict: bool,
    ) -> Option<(usize, Hindrance)> {
        self.with(|state| {
            let full = |place: &Place| !state.writes.has_room(&place.partition);
            let row_is_full = |put: &&Item| {
                let rows = in_indexes(Some(put));
                rows.iter().any(|(partition, _)| !state.writes.has_room(partition))
            };
            let full_row = || {
                let put = puts.iter().find(|put| row_is_full(put))?;
                places.iter().position(|place| *place == Place::of(put))
            };
            if let Some(leg) = places.iter().position(full).or_else(full_row) {
                state.tally.throttled = state.tally.throttled.saturating_add(1);
                return Some((leg, Hindrance::Throttle));
            }
            let taken = places.iter().position(|place| state.in_transaction.contains(place));
            let by_chance = in_conflict.then(|| state.chance.usize(0..places.len()));
            let leg = taken.or(by_chance)?;
            state.tally.conflicts = state.tally.conflicts.saturating_add(1);
            for place in places {
                state.writes.take(place.partition.clone(), WRITE_UNIT.saturating_mul(2));
            }
            let units = u64::try_from(places.len()).unwrap_or(u64::MAX).saturating_mul(2);
            state.tally.write_units = state.tally.write_units.saturating_add(units);
            Some((leg, Hindrance::Conflict))
        })
    }

    /// Writes, and counts the units: `units_for_a_kb` for each KB of an item, before or after the
    /// write, and one for each added or removed row of an index.
    fn write<T>(
        &self,
        places: &[Place],
        units_for_a_kb: u64,
        write: impl FnOnce() -> Result<T, DynoxideError>,
    ) -> Result<T, DynoxideError> {
        let images =
            || -> Vec<Option<Item>> { places.iter().map(|place| self.image(place)).collect() };
        let before = images();
        let result = write();
        let after = images();
        self.with(|state| {
            let mut take = |partition: String, units: u64| {
                state.writes.take(
                    partition,
                    WRITE_UNIT.saturating_mul(units.try_into().unwrap_or(u32::MAX)),
                );
                state.tally.write_units = state.tally.write_units.saturating_add(units);
            };
            for ((place, before), after) in places.iter().zip(&before).zip(&after) {
                let size = |image: &Option<Item>| image.as_ref().map_or(0, item_size);
                let kb = size(before).max(size(after)).div_ceil(1_024).max(1);
                let kb = u64::try_from(kb).unwrap_or(u64::MAX);
                take(place.partition.clone(), kb.saturating_mul(units_for_a_kb));
                let (old, new) = (in_indexes(before.as_ref()), in_indexes(after.as_ref()));
                for row in old.iter().filter(|row| !new.contains(row)) {
                    take(row.0.clone(), 1);
                }
                for row in new.iter().filter(|row| !old.contains(row)) {
                    take(row.0.clone(), kb);
                }
            }
        });
        result
    }

    fn image(&self, place: &Place) -> Option<Item> {
        let request = GetItemRequest {
            table_name: engine::TABLE.to_owned(),
            key: place.key(),
            ..GetItemRequest::default()
        };
        self.database.get_item(request).ok()?.item
    }

    fn throttle(&self) -> Answer {
        self.with(|state| state.tally.throttled = state.tally.throttled.saturating_add(1));
        Answer::error(400, "ThrottlingException")
    }
}

#[derive(Clone, Copy)]
enum Hindrance {
    Conflict,
    Throttle,
}

fn cancelled(legs: usize, hindered: usize, hindrance: Hindrance) -> DynoxideError {
    let hindrance = match hindrance {
        Hindrance::Conflict => "TransactionConflict",
        Hindrance::Throttle => "ThrottlingError",
    };
    let reason = |leg| CancellationReason {
        code: if leg == hindered { hindrance } else { "None" }.to_owned(),
        message: None,
        item: None,
    };
    let reasons = (0..legs).map(reason).collect();
    DynoxideError::TransactionCanceledException("cancelled".to_owned(), reasons)
}

fn place(item: &TransactWriteItem) -> Place {
    let TransactWriteItem { put, update, delete, condition_check } = item;
    let keys = [
        put.as_ref().map(|put| &put.item),
        update.as_ref().map(|update| &update.key),
        delete.as_ref().map(|delete| &delete.key),
        condition_check.as_ref().map(|check| &check.key),
    ];
    keys.into_iter().flatten().next().map_or_else(|| Place::of(&Item::new()), Place::of)
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(body)
}
