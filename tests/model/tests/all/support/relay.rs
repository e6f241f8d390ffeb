//! From the table's stream to the bus, in a rough world: the relay dies at each of its awaits, calls
//! are turned away, throttled, answered into the void or done in part, time runs out, and the whole
//! stream comes twice. What has arrived in the end are the events that follow from the ledger, and
//! no others; and each unreadable record among the others was handed over.

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

use crate::support::process::dies_at;
use crate::support::year::Lived;

/// What an entry's event is called.
pub fn told(entry: &Entry) -> Option<&'static str> {
    match &entry.kind {
        Kind::Charge | Kind::Capture => Some("credits.charged"),
        Kind::Purchase => Some("credits.purchased"),
        Kind::Gift => Some("credits.gifted"),
        Kind::Grant => Some("credits.refilled"),
        Kind::Expiry => Some("credits.expired"),
        Kind::Release => entry.key.is_none().then_some("hold.expired"),
        Kind::Hold | Kind::Order | Kind::Other(_) => None,
    }
}

/// The id of the event of that kind which tells of something.
pub fn event_id(team: &TeamId, kind: &str, of: &Id) -> String {
    Id::of("ev", team, &format!("{kind}#{of}")).to_string()
}

/// Brings records to the relay as Lambda does: each batch until it is answered, and then from the
/// first record on that the answer names.
pub async fn relayed(world: &World, records: &[Value]) {
    let mut waiting = records;
    while !waiting.is_empty() {
        let batch = &waiting[..fastrand::usize(1..=100).min(waiting.len())];
        // Each try that dies may have sent something, so some batches have none of those.
        let mut polls = if fastrand::bool() { 1 } else { u32::MAX };
        let answer = loop {
            // Often too short for all of it to arrive.
            let time = Duration::from_millis(fastrand::u64(20..2_000));
            match dies_at(polls, with_deadline(Some(time), reported(world, batch))).await {
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

/// The records that an invocation reports as failed, by their sequence numbers.
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

/// The records with unreadable ones among them, and the ids of those.
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

/// An unreadable record that comes after another one.
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

/// The ids of the records that were handed over.
pub fn handed_over(world: &World) -> BTreeSet<String> {
    let arrived = world.arrived().into_iter();
    let records = arrived.filter(|entry| entry["Source"] == SOURCE).map(|entry| detail(&entry));
    records.map(|detail| detail["record"]["eventID"].as_str().unwrap().to_owned()).collect()
}

/// The events that have arrived, by their ids; all copies of an event are the same.
pub fn arrived(world: &World) -> BTreeMap<String, Value> {
    let mut events: BTreeMap<String, Value> = BTreeMap::new();
    for entry in world.arrived().into_iter().filter(|entry| entry["Source"] != SOURCE) {
        let detail = detail(&entry);
        let id = detail["id"].as_str().unwrap().to_owned();
        assert_eq!(*events.entry(id).or_insert_with(|| entry.clone()), entry);
    }
    events
}

/// What happens to pools is told of as often as it does; and all else are the events of the ledger.
pub fn agree(world: &World, lived: &Lived) -> Result<(), TestCaseError> {
    let mut arrived = arrived(world);
    let mut take = |kind: &str| {
        let before = arrived.len();
        arrived.retain(|_, event| event["DetailType"] != kind);
        u32::try_from(before - arrived.len()).unwrap()
    };
    let Lived { reference, ids, .. } = lived;
    let (pauses, restarts) = reference.pauses;
    prop_assert_eq!(take("credits.depleted"), pauses);
    prop_assert_eq!(take("enrichment.paused"), pauses);
    prop_assert_eq!(take("enrichment.restarted"), restarts);
    let refused = take("credits.refused");
    prop_assert!((pauses..=reference.shortages).contains(&refused), "{} refusals", refused);
    let lows = take("credits.low");
    prop_assert!(lows == reference.lows || !lived.is_diligent, "{} {}", lows, reference.lows);
    prop_assert_eq!(take("top-up.due"), reference.due);
    prop_assert_eq!(take("monitoring.paused"), reference.accounts_paused);
    prop_assert_eq!(&arrived.into_keys().collect::<BTreeSet<_>>(), ids);
    Ok(())
}
