//! From the table's stream to the bus, in a rough world: the relay dies at each of its awaits, calls
//! are turned away, throttled, answered into the void or done in part, time runs out, and the whole
//! stream comes twice. What has arrived in the end are the events that follow from the ledger, and
//! no others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use physics::{Nature, World};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::aws::patience::within;
use shared::domain::entry::{Entry, Kind};
use shared::domain::ids::{Id, TeamId};

use crate::concurrency::now;
use crate::domain::closed;
use crate::operation::{Closed, runner, year};
use crate::seeds::dies_at;
use crate::year::{Lived, live};

/// More than half of all calls go wrong.
const STORM: Nature = Nature { turned_away: 150, throttled: 150, in_conflict: 200, lost: 100 };

/// What an entry's event is called.
pub fn told(entry: &Entry) -> Option<&'static str> {
    match &entry.kind {
        Kind::Charge | Kind::Capture => Some("credits.charged"),
        Kind::Purchase => Some("credits.purchased"),
        Kind::Gift => Some("credits.gifted"),
        Kind::Grant => Some("credits.refilled"),
        Kind::Expiry => Some("credits.expired"),
        Kind::Release => entry.key.is_none().then_some("hold.expired"),
        Kind::Hold | Kind::Other(_) => None,
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
            let event = serde_json::from_value(json!({ "Records": batch })).unwrap();
            let (store, bus) = (world.store(), world.bus());
            let event = LambdaEvent::new(event, Context::default());
            // Often too short for all of it to arrive.
            let time = Duration::from_millis(fastrand::u64(20..2_000));
            match dies_at(polls, within(Some(time), relay::handle(&store, &bus, event))).await {
                Some(answer) => break answer.unwrap(),
                None => polls += 1,
            }
        };
        let failed: Vec<_> = answer
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier.unwrap())
            .collect();
        assert!(failed.is_sorted(), "{failed:?}");
        let number =
            |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
        let first = batch.iter().position(|record| failed.first() == Some(&number(record)));
        waiting = &waiting[first.unwrap_or(batch.len())..];
    }
}

/// What has arrived, by its ids; all copies of an event are the same.
fn arrived(world: &World) -> BTreeMap<String, Value> {
    let mut events: BTreeMap<String, Value> = BTreeMap::new();
    for entry in world.arrived() {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
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

#[test]
fn a_year_comes_to_what_the_reference_has_and_is_told_of_so() {
    let tested = runner(1).run(&year(), |year| {
        let seed = year.life.len() as u64;
        let lived = physics::run_with_stream(seed, Nature::CALM, now(), async |world| {
            Box::pin(live(world, &year)).await
        });
        let lived = lived.unwrap()?;
        physics::run(seed, STORM, now(), async |world| {
            let mut first = None;
            for _ in 0..2 {
                Box::pin(relayed(&world, &lived.records)).await;
                agree(&world, &lived)?;
                let arrived = arrived(&world);
                prop_assert_eq!(&arrived, first.get_or_insert_with(|| arrived.clone()));
            }
            world.turn(Nature::CALM);
            let kept = world.store().statements(&"t".parse().unwrap()).await.unwrap();
            let kept: Vec<Closed> = kept.iter().map(closed).collect();
            prop_assert_eq!(&kept, &lived.reference.statements);
            Ok(())
        })
        .unwrap()
    });
    tested.unwrap();
}
