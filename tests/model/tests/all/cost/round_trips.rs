//! The round trips and write units of operations. README.md states these figures.

use std::time::Duration;

use engine::limits::longest_expressions;
use engine::{Engine, Meter, Reading, catalogue, prices};
use futures_util::future::join_all;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::Entry;
use shared::domain::payment::Decline;
use shared::domain::purchase::{GiftRequest, PurchaseStatus};
use shared::domain::settings::Settings;
use shared::domain::{Credits, Error};
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::hold::Release;
use simulator::Faults;
use stripe::{Account, Simulated};
use tokio::time::sleep;

use crate::support::operations::Size;
use crate::support::payments::with_account;
use crate::support::teams::{
    capture, charge, charges_of_40_actions, hold_entry, key_named, now, order, team_with,
    with_quantity,
};

struct Setup {
    engine: Engine,
    store: Store,
    meter: Meter,
    team: TeamId,
}

impl Setup {
    async fn new(purchased: u64) -> Self {
        let engine = Engine::in_memory().await.unwrap();
        let meter = Meter::default();
        let store = engine.store_with(&meter);
        let team =
            Box::pin(team_with(&store, "a-team-with-a-name-of-usual-length", purchased)).await;
        let _ = meter.take();
        Self { engine, store, meter, team }
    }

    async fn charge(&self, keys: std::ops::Range<u32>) -> (Vec<EntryResult>, Reading) {
        let entries = keys.map(|n| {
            charge(&self.team, &format!("campaign-77/lead-{n:06}"), "email_finder", "deliverable")
        });
        let results = self.store.charge(&self.team, entries.collect(), now()).await;
        (results, self.meter.take())
    }
}

#[tokio::test]
async fn a_charge_is_one_round_trip_and_five_write_units() {
    let setup = Setup::new(0).await;
    let (results, reading) = setup.charge(0..1).await;
    assert!(matches!(results[..], [EntryResult::Created(_)]));
    assert_eq!(reading.round_trips, 1);
    assert!((1..=50).contains(&reading.write_tenths), "{reading:?}");
}

#[tokio::test]
async fn a_replay_is_one_round_trip() {
    let setup = Setup::new(0).await;
    setup.charge(0..1).await;
    let (results, reading) = setup.charge(0..1).await;
    assert!(matches!(results[..], [EntryResult::Replayed(_)]));
    assert_eq!(reading.round_trips, 1);
}

/// The first refusal also writes the pool, which pauses enrichment.
#[tokio::test]
async fn a_refusal_is_one_round_trip() {
    let setup = Setup::new(0).await;
    setup.charge(0..80).await;
    let (results, reading) = setup.charge(80..81).await;
    assert!(matches!(results[..], [EntryResult::Refused(Error::InsufficientCredits { .. })]));
    assert_eq!(reading.round_trips, 2);
    let (store, meter) = (setup.engine.store_with(&setup.meter), &setup.meter);
    for (action, outcome) in [("email_finder", "risky"), ("sms", "sent")] {
        let refused = charge(&setup.team, action, action, outcome);
        let store = store.clone();
        let results = store.charge(&setup.team, vec![refused], now()).await;
        assert!(matches!(results[..], [EntryResult::Refused(_)]), "{results:?}");
        assert_eq!(meter.take().round_trips, 1);
    }
}

/// The same key five hundred times in one request: with the same charge, and with different
/// charges.
#[tokio::test]
async fn a_key_repeated_in_a_request_needs_no_further_write() {
    let setup = Setup::new(0).await;
    let of = |quantity: u64| {
        let one = charge(&setup.team, "k", "linkedin_enrichment", "found");
        let credits = -i64::try_from(quantity).unwrap();
        Entry { credits, ..with_quantity(one, quantity) }
    };
    let results = setup.store.charge(&setup.team, vec![of(1); 500], now()).await;
    assert!(matches!(results[0], EntryResult::Created(_)));
    assert!(results[1..].iter().all(|result| matches!(result, EntryResult::Replayed(_))));
    assert_eq!(setup.meter.take().writes, 1);
    let others = (0..500).map(|number| of(2 + number)).collect();
    let results = setup.store.charge(&setup.team, others, now()).await;
    let is_reused = |result: &EntryResult| matches!(result, EntryResult::Refused(Error::KeyReused));
    assert!(results.iter().all(is_reused), "{results:?}");
    let reading = setup.meter.take();
    assert_eq!((reading.writes, reading.round_trips), (1, 2), "{reading:?}");
    // A key whose first charge was refused is tried again, in the order of the request.
    let first_too_much = [500_i64, 1].map(|quantity| {
        let one = charge(&setup.team, "l", "linkedin_enrichment", "found");
        Entry { credits: -quantity, ..with_quantity(one, quantity.unsigned_abs()) }
    });
    let results = setup.store.charge(&setup.team, first_too_much.into(), now()).await;
    assert!(
        matches!(results[..], [EntryResult::Refused(_), EntryResult::Created(_)]),
        "{results:?}"
    );
}

#[tokio::test]
async fn a_batch_shares_the_pool_write() {
    let setup = Setup::new(1_000).await;
    let (results, reading) = setup.charge(0..99).await;
    assert!(results.iter().all(|result| matches!(result, EntryResult::Created(_))));
    assert_eq!(reading.round_trips, 1);
    assert!((99..=99 * 31).contains(&reading.write_tenths), "{reading:?}");
}

#[tokio::test]
async fn a_batch_with_refusals_is_two_round_trips() {
    let setup = Setup::new(0).await;
    let (results, reading) = setup.charge(0..99).await;
    let charged = results.iter().filter(|result| matches!(result, EntryResult::Created(_))).count();
    assert_eq!((charged, reading.round_trips), (80, 2));
}

/// A hold first reads the pool for its epoch. A release reads the hold and the pool.
#[tokio::test]
async fn hold_capture_and_release_have_fixed_costs() {
    let setup = Setup::new(0).await;
    let request: HoldRequest = serde_json::from_str(r#"{"credits":100}"#).unwrap();
    let (key, user) = (key_named("campaign-77"), "pipeline".parse().unwrap());
    let entry = request.entry(&setup.team, key, user, now()).unwrap();
    let hold = entry.hold().cloned().unwrap();
    setup.store.hold_take(entry, now()).await.unwrap();
    assert_eq!(
        setup.meter.take(),
        Reading { round_trips: 2, writes: 1, write_tenths: 80, read_tenths: 10 }
    );

    let email = charge(&setup.team, "campaign-77/lead-000001", "email_finder", "deliverable");
    setup.store.charge(&setup.team, vec![capture(email, &hold)], now()).await;
    assert_eq!(
        setup.meter.take(),
        Reading { round_trips: 1, writes: 1, write_tenths: 50, read_tenths: 0 }
    );

    let by = Release { key: key_named("campaign-77/end"), user: "pipeline".parse().unwrap() };
    setup.store.hold_release(&setup.team, &hold, &by, now()).await.unwrap();
    assert_eq!(
        setup.meter.take(),
        Reading { round_trips: 4, writes: 1, write_tenths: 100, read_tenths: 30 }
    );
}

fn gift_of(team: &TeamId, credits: u64) -> Entry {
    let gift = GiftRequest { credits: Credits::new(credits), reference: None };
    let (key, user) = (key_named("gift"), "support".parse().unwrap());
    gift.entry(team, key, user, now()).unwrap()
}

/// After the first refusal, further ones read their own entries only and write nothing.
#[tokio::test]
async fn repeated_refusals_do_not_write() {
    let setup = Setup::new(0).await;
    setup.charge(0..80).await;
    let (_, first) = setup.charge(80..81).await;
    assert_eq!((first.round_trips, first.writes), (2, 2));
    let (_, second) = setup.charge(80..81).await;
    assert_eq!((second.round_trips, second.writes), (1, 0));
    let storm: Vec<_> = (81..1_081).map(|key| setup.charge(key..key + 1)).collect();
    for (results, reading) in join_all(storm).await {
        let refused = matches!(results[..], [EntryResult::Refused(Error::EnrichmentPaused)]);
        assert!(refused, "{results:?}");
        assert_eq!(reading.writes, 0);
    }
    let (results, again) = setup.charge(0..1).await;
    assert!(
        matches!(results[..], [EntryResult::Replayed(_)]),
        "a replay is answered during the pause"
    );
    assert_eq!((again.round_trips, again.writes), (1, 0));
    setup.store.gift_add(gift_of(&setup.team, 5)).await.unwrap();
    let (results, _) = setup.charge(80..81).await;
    assert!(matches!(results[..], [EntryResult::Refused(Error::EnrichmentPaused)]), "{results:?}");
    setup.store.enrichment_restart(&setup.team, prices(), now()).await.unwrap();
    let (results, _) = setup.charge(80..81).await;
    assert!(matches!(results[..], [EntryResult::Created(_)]), "the gift is visible");
}

/// A thousand refusals per second on a table that counts failed writes, as DynamoDB does.
#[test]
fn a_thousand_refusals_per_second_cost_two_write_units() {
    const SECONDS: u32 = 5;
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = Box::pin(team_with(&store, "t", 0)).await;
        let entries = (0..20).map(|n| charge(&team, &format!("{n}"), "phone_finder", "valid"));
        store.charge(&team, entries.collect(), world.now()).await;
        // A hold of the team is open meanwhile.
        store.gift_add(gift_of(&team, 100)).await.unwrap();
        store
            .hold_take(hold_entry(&team, 1, Size::Credits(100), 1, world.now()), world.now())
            .await
            .unwrap();
        let _ = world.tally();
        let calls = (0..SECONDS * 1_000).map(async |n| {
            sleep(Duration::from_millis(n.into())).await;
            let (action, outcome) =
                if n % 2 == 0 { ("email_finder", "risky") } else { ("sms", "sent") };
            let entry = charge(&team, &format!("late {n}"), action, outcome);
            store.charge(&team, vec![entry], world.now()).await.pop()
        });
        for result in join_all(calls.map(Box::pin)).await {
            use Error::{EnrichmentPaused, InsufficientCredits};
            let refused = matches!(
                result,
                Some(EntryResult::Refused(InsufficientCredits { .. } | EnrichmentPaused))
            );
            assert!(refused, "{result:?}");
        }
        let tally = world.tally();
        assert!(tally.write_units <= u64::from(2 * SECONDS), "{tally:?}");
    })
    .unwrap();
}

/// An order and its customer are read and written at once. The payment and its credits follow.
#[tokio::test]
async fn a_purchase_is_three_sequential_round_trips() {
    let setup = Setup::new(0).await;
    let account = Account::new("https://pay.example");
    let account = Simulated::new(account, || now().timestamp().as_second());
    let app = App::new(setup.store.clone(), Clock::new(now), catalogue());
    let process = with_account(app, &account);
    for number in 0..2 {
        let asked = order(&setup.team, key_named(&format!("order {number}")), 200, now());
        let bought = process.buy(&asked, Ok(())).await.unwrap();
        assert_eq!(bought.purchase.status, PurchaseStatus::Paid);
        let reading = setup.meter.take();
        assert_eq!((reading.round_trips, reading.writes), (4, 3), "one is beside another");
    }
}

/// Credits from another process are found once the cached refusal is no longer fresh.
#[tokio::test]
async fn a_cached_refusal_expires() {
    let setup = Setup::new(0).await;
    setup.charge(0..81).await;
    let elsewhere = setup.engine.store();
    elsewhere.gift_add(gift_of(&setup.team, 5)).await.unwrap();
    elsewhere.enrichment_restart(&setup.team, prices(), now()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    let (results, _) = setup.charge(80..81).await;
    assert!(matches!(results[..], [EntryResult::Created(_)]), "{results:?}");
}

/// The pool is smaller than 1 KB with all settings, after a top-up and with counters of twelve
/// actions, so a charge costs no additional write unit.
#[tokio::test]
async fn a_pool_with_settings_and_counters_stays_below_1_kb() {
    let setup = Setup::new(1_000_000).await;
    let settings = r#"{"low_balance_threshold":20000,
        "auto_top_up":{"below":9000000,"credits":100000,"monthly_limit":1000000}}"#;
    let settings: Settings = serde_json::from_str(settings).unwrap();
    setup.store.settings_change(&setup.team, &settings.into(), now()).await.unwrap();
    let event = Id::of("ev", &setup.team, "1");
    let begun = setup.store.top_up_begin(&setup.team, &event, prices(), now()).await.unwrap();
    setup.store.purchase_fail(&begun.unwrap(), &Decline::because("declined")).await.unwrap();
    let many = |action: &str, outcome: &str| {
        with_quantity(charge(&setup.team, &format!("many {action}"), action, outcome), 12_345)
    };
    let dozen = prices().actions.iter().take(12);
    let dozen = dozen.map(|price| many(&price.name, &price.charged[0]));
    setup.store.charge(&setup.team, dozen.collect(), now()).await;
    let too_much = Entry { credits: -2_000_000, ..many("sms", "sent") };
    setup.store.charge(&setup.team, vec![too_much], now()).await;
    let _ = setup.meter.take();
    let (results, reading) = setup.charge(0..1).await;
    assert!(matches!(results[..], [EntryResult::Created(_)]));
    assert_eq!(reading.write_tenths, 50, "{reading:?}");
}

/// A batch that adds to all counters of the pool and records a refusal has the longest expression.
/// DynamoDB allows 4 KB.
#[tokio::test]
async fn the_longest_expression_is_below_3_kb() {
    let setup = Setup::new(10_000).await;
    let every = charges_of_40_actions(&setup.team, "every").into_iter();
    let too_much = charge(&setup.team, "too much", "sms", "sent");
    let too_much = Entry { credits: -2_000_000, ..too_much };
    let results = setup.store.charge(&setup.team, every.chain([too_much]).collect(), now()).await;
    let refused = results.iter().filter(|result| matches!(result, EntryResult::Refused(_))).count();
    assert_eq!((results.len(), refused), (41, 1), "{results:?}");
    // One write adds to the counters of 21 actions. The second one is repeated without the refused charge.
    assert_eq!(setup.meter.take().writes, 3);
    let longest = longest_expressions();
    assert!(longest.values().all(|length| *length < 3_072), "{longest:?}");
}
