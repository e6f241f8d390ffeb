//! Delivery of stream records to the relay, and the events that reach the bus.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use proptest::prelude::*;
use relay::unreadable::SOURCE;
use serde_json::{Value, json};
use shared::aws::retry::with_deadline;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::{Entry, Kind};
use simulator::World;

use crate::support::process::run_for_polls;
use crate::support::year::YearResult;

/// Returns the kind of the event for an entry, if there is one.
pub fn event_kind(entry: &Entry) -> Option<&'static str> {
    match entry.kind() {
        Kind::Charge | Kind::Capture => Some("credits.charged"),
        Kind::Purchase => Some("credits.purchased"),
        Kind::Gift => Some("credits.gifted"),
        Kind::Grant => Some("credits.refilled"),
        Kind::Expiry => Some("credits.expired"),
        Kind::Dispute => Some("purchase.disputed"),
        Kind::Release => entry.key.is_none().then_some("hold.expired"),
        Kind::Hold | Kind::Order | Kind::Other(_) => None,
    }
}

/// Returns the id of the event of a kind for the entry or purchase `of`.
pub fn event_id(team: &TeamId, kind: &str, of: &Id) -> String {
    Id::of("ev", team, &format!("{kind}#{of}")).to_string()
}

/// Delivers records to the relay as Lambda does: a batch until it is answered, then from the first
/// failed record on.
pub async fn relay_all(world: &World, records: &[Value]) {
    let mut waiting = records;
    while !waiting.is_empty() {
        let batch = &waiting[..fastrand::usize(1..=100).min(waiting.len())];
        // A stopped attempt may have sent some events, so half of the batches are not stopped.
        let mut polls = if fastrand::bool() { 1 } else { u32::MAX };
        let answer = loop {
            // The time is often too short to send all events.
            let time = Duration::from_millis(fastrand::u64(20..2_000));
            match run_for_polls(polls, with_deadline(Some(time), reported(world, batch))).await {
                Some(answer) => break answer,
                None => polls += 1,
            }
        };
        let done = match answer {
            Ok(failed) => {
                assert!(failed.is_sorted(), "{failed:?}");
                let is_first =
                    |record| failed.first().is_some_and(|first| number(record) == Some(first));
                batch.iter().position(is_first).unwrap_or(batch.len())
            }
            Err(error) => {
                assert!(batch.iter().any(|record| number(record).is_none()), "{error}");
                0
            }
        };
        waiting = &waiting[done..];
    }
}

/// Returns the sequence numbers of the records that an invocation reports as failed.
pub async fn reported(
    world: &World,
    batch: &[Value],
) -> Result<Vec<String>, lambda_runtime::Error> {
    let event = serde_json::from_value(json!({ "Records": batch })).unwrap();
    let event = LambdaEvent::new(event, Context::default());
    let answer = relay::handle(&world.store(), &world.bus(), event).await?;
    let failures = answer.batch_item_failures.into_iter();
    Ok(failures.map(|failure| failure.item_identifier.unwrap()).collect())
}

pub fn number(record: &Value) -> Option<&str> {
    record["dynamodb"]["SequenceNumber"].as_str()
}

/// Inserts unreadable records at random. Returns all records and the ids of the unreadable ones.
pub fn with_unreadable(records: &[Value]) -> (Vec<Value>, BTreeSet<String>) {
    let (mut all, mut ids) = (Vec::new(), BTreeSet::new());
    for record in records {
        all.push(record.clone());
        if fastrand::u8(0..10) == 0 {
            let unreadable = unreadable(record);
            ids.insert(unreadable["eventID"].as_str().unwrap().to_owned());
            all.push(unreadable);
        }
    }
    (all, ids)
}

/// Returns an unreadable record that follows `after`.
pub fn unreadable(after: &Value) -> Value {
    let mut record = after.clone();
    let number = format!("{}-unreadable", number(after).unwrap());
    record["eventID"] = json!(number);
    record["eventName"] = json!("MODIFY");
    let change = &mut record["dynamodb"];
    change["SequenceNumber"] = json!(number);
    let (key, unknown_type) = (json!({ "S": "ENTRY" }), json!({ "pk": { "unknown": "" } }));
    match fastrand::u8(0..5) {
        0 => change["NewImage"] = json!({}),
        1 => change["NewImage"] = json!({ "pk": key, "sk": key }),
        2 => change["NewImage"] = unknown_type,
        3 => change["OldImage"] = unknown_type,
        _ => drop(change.as_object_mut().unwrap().remove("SequenceNumber")),
    }
    record
}

pub fn detail(entry: &Value) -> Value {
    serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
}

/// The ids of the unreadable records that the relay handed over.
pub fn handed_over(world: &World) -> BTreeSet<String> {
    let arrived = world.arrived().into_iter();
    let records = arrived.filter(|entry| entry["Source"] == SOURCE).map(|entry| detail(&entry));
    records.map(|detail| detail["record"]["eventID"].as_str().unwrap().to_owned()).collect()
}

/// The published events by id. All copies of an event are equal.
pub fn arrived(world: &World) -> BTreeMap<String, Value> {
    let mut events: BTreeMap<String, Value> = BTreeMap::new();
    for entry in world.arrived().into_iter().filter(|entry| entry["Source"] != SOURCE) {
        let detail = detail(&entry);
        let id = detail["id"].as_str().unwrap().to_owned();
        assert_eq!(*events.entry(id).or_insert_with(|| entry.clone()), entry);
    }
    events
}

/// Asserts that the published events match the reference and the ledger.
pub fn check_events(world: &World, result: &YearResult) -> Result<(), TestCaseError> {
    let mut arrived = arrived(world);
    let mut take = |kind: &str| {
        let before = arrived.len();
        arrived.retain(|_, event| event["DetailType"] != kind);
        u32::try_from(before - arrived.len()).unwrap()
    };
    let YearResult { reference, ids, .. } = result;
    let (pauses, restarts) = reference.pauses;
    prop_assert_eq!(take("credits.depleted"), pauses);
    prop_assert_eq!(take("enrichment.paused"), pauses);
    prop_assert_eq!(take("enrichment.restarted"), restarts);
    let refused = take("credits.refused");
    prop_assert!((pauses..=reference.insufficient).contains(&refused), "{} refusals", refused);
    let lows = take("credits.low");
    prop_assert!(
        lows == reference.low_alerts || !result.is_diligent,
        "{} {}",
        lows,
        reference.low_alerts
    );
    prop_assert_eq!(take("top-up.due"), reference.top_ups_due);
    prop_assert_eq!(take("monitoring.paused"), reference.accounts_paused);
    prop_assert_eq!(&arrived.into_keys().collect::<BTreeSet<_>>(), ids);
    Ok(())
}
