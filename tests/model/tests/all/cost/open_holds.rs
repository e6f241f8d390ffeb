//! Hundreds of open holds: the cost of a read, and the expiry of all holds at one instant.

use std::time::Duration;

use engine::{Engine, Meter, TABLE};
use futures_util::future::join_all;
use serde_json::json;
use shared::domain::Credits;
use shared::domain::Error;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::limits::{HOLD_CREDITS_MAX, OPEN_HOLDS_MAX};
use shared::domain::time::Time;
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::keys;
use simulator::Faults;

use crate::support::teams::{capture, charge, key_named, now, team_with, with_quantity};

/// The credits of a hold and the credits captured from it.
const HELD: u64 = 100;
const CAPTURED: u64 = 5;

async fn hold(store: &Store, team: &TeamId, number: u64, seconds: u32, at: Time) -> EntryResult {
    hold_of(HELD, store, team, number, seconds, at).await
}

/// Takes a hold with a reference of the longest text.
async fn hold_of(
    credits: u64,
    store: &Store,
    team: &TeamId,
    number: u64,
    seconds: u32,
    at: Time,
) -> EntryResult {
    let body = json!({ "credits": credits, "expires_in": seconds, "reference": longest_text() });
    let request: HoldRequest = serde_json::from_value(body).unwrap();
    let key = key_named(&format!("campaign-77/batch-{number:06}"));
    let entry = request.entry(team, key, "pipeline".parse().unwrap(), at).unwrap();
    store.hold_take(entry, at).await.unwrap()
}

/// 255 characters of four bytes each.
fn longest_text() -> String {
    "\u{1D11E}".repeat(255)
}

/// Captures a million units of four actions from a hold, so that its counters are as many and as long as they can be.
async fn capture_most(store: &Store, team: &TeamId, hold: &Id) {
    let most = [
        ("email_finder", "risky"),
        ("phone_finder", "valid"),
        ("sms", "sent"),
        ("signal_merger", "identified"),
    ];
    let captures = most.map(|(action, outcome)| {
        let one = charge(team, &format!("{hold} {action}"), action, outcome);
        let credits = one.credits * 1_000_000;
        capture(Entry { credits, ..with_quantity(one, 1_000_000) }, hold)
    });
    let results = store.charge(team, captures.into(), now()).await;
    assert!(results.iter().all(|one| matches!(one, EntryResult::Created(_))), "{results:?}");
}

/// Takes holds that expire together and captures one email from each.
async fn take_holds(store: &Store, team: &TeamId, count: u64, seconds: u32) {
    for number in 0..count {
        let EntryResult::Created(entry) = hold(store, team, number, seconds, now()).await else {
            panic!("hold {number} is refused");
        };
        let email = charge(team, &format!("lead {number}"), "email_finder", "risky");
        let email = capture(email, entry.hold().unwrap());
        let captured = store.charge(team, vec![email], now()).await;
        assert!(matches!(captured[..], [EntryResult::Created(_)]), "{captured:?}");
    }
}

#[tokio::test]
async fn a_balance_with_a_thousand_holds_costs_at_most_100_read_units() {
    let engine = Engine::in_memory().await.unwrap();
    let meter = Meter::default();
    let store = engine.store_with(&meter);
    let team = team_with(&store, &"t".repeat(64), 0).await;
    let most = HOLD_CREDITS_MAX.get();
    set_balance(&engine, &team, OPEN_HOLDS_MAX * most + HELD).await;
    let _ = meter.take();
    store.projection_read(&team, now()).await.unwrap();
    let without = meter.take();
    assert_eq!(
        (without.round_trips, without.read_tenths),
        (1, 10),
        "no additional cost without holds"
    );

    for number in 0..OPEN_HOLDS_MAX {
        let taken = hold_of(most, &store, &team, number, 3_600, now()).await;
        let EntryResult::Created(entry) = taken else { panic!("hold {number}: {taken:?}") };
        capture_most(&store, &team, entry.hold().unwrap()).await;
    }
    let _ = meter.take();
    let view = store.projection_read(&team, now()).await.unwrap();
    let with_all = meter.take();
    assert_eq!(view.held().unwrap().get(), OPEN_HOLDS_MAX * (most - 131_000_000));
    assert_eq!(with_all.round_trips, 9, "the pool and eight queries");
    assert!(with_all.read_tenths <= 1_000, "{with_all:?}");

    let refused = hold(&store, &team, OPEN_HOLDS_MAX, 60, now()).await;
    assert!(matches!(refused, EntryResult::Refused(Error::TooManyHolds)), "{refused:?}");
    let again = hold_of(most, &store, &team, 0, 3_600, now()).await;
    assert!(matches!(again, EntryResult::Replayed(_)), "{again:?}");
    // An expired hold does not count, even if nothing remains of it.
    let later = now().plus_seconds(3_600);
    let taken = hold(&store, &team, OPEN_HOLDS_MAX, 60, later).await;
    assert!(matches!(taken, EntryResult::Created(_)), "{taken:?}");
}

async fn set_balance(engine: &Engine, team: &TeamId, credits: u64) {
    let client = engine.client();
    let pool = client.update_item().table_name(TABLE).set_key(Some(keys::pool(team)));
    let pool = pool.update_expression("SET credits = :credits, mark = :credits");
    pool.expression_attribute_values(":credits", keys::number(credits)).send().await.unwrap();
}

/// A thousand holds that expired in a cycle are returned before the reset at its end, so that it contains their
/// captures.
#[test]
fn a_thousand_expired_holds_do_not_delay_a_reset() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with(&store, "t", OPEN_HOLDS_MAX * HELD).await;
        Box::pin(take_holds(&store, &team, OPEN_HOLDS_MAX, 3_600)).await;
        let later: Time = "2027-02-10T00:00:00Z".parse().unwrap();
        let _ = world.tally();
        let began = tokio::time::Instant::now();
        let entry = Entry { at: later, ..charge(&team, "next cycle", "sms", "sent") };
        let result = store.charge(&team, vec![entry], later).await.pop();
        assert!(matches!(result, Some(EntryResult::Created(_))), "{result:?}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "the charge took {took:?}");
        // One read of all holds, one of each reference, and 42 writes.
        let tally = world.tally();
        assert!(tally.round_trips < 1_100, "{tally:?}");
        let pool = store.projection_read(&team, later).await.unwrap().pool;
        assert_eq!(pool.used.spent(), Ok(Credits::new(6)), "captures count in the ended cycle");
    })
    .unwrap();
}

/// Twenty reads and a charge at the instant at which a thousand holds expire.
#[test]
fn a_thousand_holds_that_expire_together_delay_no_request() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with(&store, "t", OPEN_HOLDS_MAX * HELD).await;
        Box::pin(take_holds(&store, &team, OPEN_HOLDS_MAX, 3_600)).await;
        let later = now().plus_seconds(3_600);
        let total = OPEN_HOLDS_MAX * (HELD - CAPTURED) + 400;
        let readers = (0..20).map(async |_| {
            let began = tokio::time::Instant::now();
            let view = world.store().projection_read(&team, later).await.unwrap();
            assert_eq!((view.pool.balance.credits.get(), view.held().unwrap().get()), (total, 0));
            began.elapsed()
        });
        let charging = async {
            let store = world.store();
            // The charge exceeds the stored credits of the pool, so a few holds are returned first.
            let found = charge(&team, "late", "linkedin_enrichment", "found");
            let entry = Entry { at: later, credits: -500, ..with_quantity(found, 500) };
            let began = tokio::time::Instant::now();
            let result = store.charge(&team, vec![entry], later).await.pop();
            assert!(matches!(result, Some(EntryResult::Created(_))), "{result:?}");
            began.elapsed()
        };
        let (read, charged) = tokio::join!(join_all(readers.map(Box::pin)), Box::pin(charging));
        let longest = read.into_iter().max().unwrap();
        assert!(longest < Duration::from_millis(200), "a read took {longest:?}");
        assert!(charged < Duration::from_millis(500), "the charge took {charged:?}");
        let stored = store.projection_read(&team, now()).await.unwrap();
        assert!(
            stored.holds.len() > 980,
            "more holds than necessary are returned: {}",
            stored.holds.len()
        );

        // A charge that needs most of the holds returns them without a pause between the writes.
        let began = tokio::time::Instant::now();
        let needed = OPEN_HOLDS_MAX * 80;
        let much = charge(&team, "much", "linkedin_enrichment", "found");
        let credits = -i64::try_from(needed).unwrap();
        let much = Entry { at: later, credits, ..with_quantity(much, needed) };
        let result = store.charge(&team, vec![much], later).await.pop();
        assert!(matches!(result, Some(EntryResult::Created(_))), "{result:?}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "the charge took {took:?}");
        let stored = store.projection_read(&team, now()).await.unwrap();

        // The schedule returns the rest, many holds per write.
        let _ = world.tally();
        let done = store.team_upkeep(&team, later).await.unwrap();
        assert_eq!(done.expired, u64::try_from(stored.holds.len()).unwrap());
        let tally = world.tally();
        assert!(tally.round_trips < 600, "{tally:?}");
        let view = store.projection_read(&team, later).await.unwrap();
        assert_eq!(view.pool.balance.credits.get(), total - 500 - needed);
        let releases = Selection { kind: Some(Kind::Release), ..Selection::default() };
        let releases = store.history_list(&team, &releases, None, 2_000).await.unwrap().entries;
        assert_eq!(releases.len(), usize::try_from(OPEN_HOLDS_MAX).unwrap());
    })
    .unwrap();
}
