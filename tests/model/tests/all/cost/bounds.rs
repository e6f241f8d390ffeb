//! The size of a pool and the length of its expressions are bounded in the worst cases.

use engine::limits::longest_expressions;
use engine::{Engine, TABLE, catalogue, prices};
use shared::domain::Credits;
use shared::domain::Error;
use shared::domain::catalogue::action_code::ActionCode;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Entry;
use shared::domain::limits::POOL_CREDITS_MAX;
use shared::domain::pool::epochs::{GROUPS_BEFORE_JOIN, GROUPS_MAX};
use shared::domain::pool::usage::Usage;
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::time::Time;
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::hold::Release;
use shared::store::keys;

use crate::support::operations::Size;
use crate::support::teams::{
    capture, charge, charges_of_40_actions, hold_entry, hold_id, key_named, now, team_with,
    with_quantity,
};

/// Returns the size of a team's pool item in bytes.
async fn pool_size(engine: &Engine, team: &TeamId) -> usize {
    let read = engine.client().get_item().table_name(TABLE).set_key(Some(keys::pool(team)));
    let item = read.send().await.unwrap().item.unwrap();
    let item: serde_json::Value = serde_dynamo::from_item(item).unwrap();
    size(&item)
}

/// The size as DynamoDB counts it: names and texts in UTF-8, numbers by their digits, 3 bytes for a
/// map or a list plus 1 for each element.
fn size(value: &serde_json::Value) -> usize {
    use serde_json::Value::{Array, Bool, Null, Number, Object, String};
    match value {
        Null | Bool(_) => 1,
        Number(number) => number.to_string().len().div_ceil(2) + 1,
        String(text) => text.len(),
        Array(list) => 3 + list.iter().map(|value| 1 + size(value)).sum::<usize>(),
        Object(map) => {
            3 + map.iter().map(|(name, value)| name.len() + 1 + size(value)).sum::<usize>()
        }
    }
}

async fn seats(store: &Store, team: &TeamId, seats: u32, now: Time) {
    let body = format!(r#"{{"plan":"multichannel_expert","seats":{seats}}}"#);
    let request = serde_json::from_str(&body).unwrap();
    store
        .terms_change(team, now, |pool| pool.subscribe(&request, &catalogue(), now))
        .await
        .unwrap();
}

/// Spends all free credits and one purchased credit, so that the pool is below its mark.
async fn fall_below(store: &Store, team: &TeamId, key: &str, now: Time) {
    let free = store.projection_read(team, now).await.unwrap().pool.balance.free().get();
    let cost = i64::try_from(free + 1).unwrap();
    let entry = charge(team, key, "linkedin_enrichment", "found");
    let entry = Entry { credits: -cost, ..with_quantity(entry, free + 1) };
    let result = store.charge(team, vec![entry], now).await;
    assert!(matches!(result[..], [EntryResult::Created(_)]), "{result:?}");
}

#[tokio::test]
async fn a_long_series_of_seats_below_the_mark_owes_nothing_without_holds() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "a-team-with-a-name-of-usual-length", 10_000).await;
    for number in 2..300 {
        fall_below(&store, &team, &format!("k{number}"), now()).await;
        seats(&store, &team, number, now()).await;
    }
    assert_eq!(store.pool_current(&team, now()).await.unwrap().owed.groups(), 0);
    let size = pool_size(&engine, &team).await;
    assert!(size < 1_024, "{size} bytes");
}

/// Each charge falls into another week; counters of earlier weeks are removed.
#[tokio::test]
async fn a_pool_stays_below_1_kb_over_ten_years_of_charges() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "a-team-with-a-name-of-usual-length", 10_000).await;
    for number in 0..90 {
        let at = now().plus_seconds(number * 6 * 7 * 24 * 60 * 60);
        store.team_upkeep(&team, at).await.unwrap();
        let charged = charge(&team, &format!("k{number}"), "sms", "sent");
        store.charge(&team, vec![Entry { at, ..charged }], at).await;
    }
    let size = pool_size(&engine, &team).await;
    assert!(size < 1_024, "{size} bytes");
}

/// One hold stays open. All credits owed belong to it, in a bounded number of groups, and its
/// release returns them.
#[tokio::test]
async fn a_long_series_of_seats_below_the_mark_owes_few_groups_to_one_hold() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "a-team-with-a-name-of-usual-length", 10_000).await;
    store.hold_take(hold_entry(&team, 1, Size::Credits(250), 40, now()), now()).await.unwrap();
    for number in 2..300 {
        fall_below(&store, &team, &format!("k{number}"), now()).await;
        seats(&store, &team, number, now()).await;
    }
    let before = store.pool_current(&team, now()).await.unwrap();
    assert!(before.owed.groups() <= GROUPS_BEFORE_JOIN + 1);
    let size = pool_size(&engine, &team).await;
    assert!(size < 1_024, "{size} bytes");
    let hold = hold_id(&team, 1);
    let by = Release { key: key_named("end"), user: "u".parse().unwrap() };
    store.hold_release(&team, &hold, &by, now()).await.unwrap();
    let after = store.pool_current(&team, now()).await.unwrap();
    // 298 purchased credits were spent, 250 of them because of the hold.
    assert_eq!(after.balance.purchased().get() - before.balance.purchased().get(), 250);
    assert_eq!(after.balance.free(), before.balance.free());
}

/// A hold in every epoch, all open and with captures of 40 actions, the most that a catalogue has. A hold beyond the
/// bound is refused as too many holds; all other operations succeed.
#[tokio::test]
async fn the_largest_pool_is_below_4_kb_and_its_expressions_below_3_kb() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "a-team-with-a-name-of-usual-length", 900_000).await;
    let all_actions = |key: &str| charges_of_40_actions(&team, key);
    let mut refused = 0;
    for number in 2..(u32::try_from(GROUPS_MAX).unwrap() + 20) {
        let key = 1_000 + u16::try_from(number).unwrap();
        let result = store
            .hold_take(hold_entry(&team, key, Size::Credits(2_000), 40, now()), now())
            .await
            .unwrap();
        match result {
            EntryResult::Created(hold) => {
                let of_hold = |entry: Entry| capture(entry, hold.hold().unwrap());
                let captures = all_actions(&number.to_string()).into_iter().map(of_hold).collect();
                for captured in store.charge(&team, captures, now()).await {
                    assert!(matches!(captured, EntryResult::Created(_)), "{captured:?}");
                }
            }
            EntryResult::Refused(Error::TooManyHolds) => refused += 1,
            other => panic!("{other:?}"),
        }
        fall_below(&store, &team, &format!("k{number}"), now()).await;
        seats(&store, &team, number, now()).await;
    }
    assert!(refused > 0, "the bound was never reached");
    let full = store.projection_read(&team, now()).await.unwrap();
    assert!(full.pool.owed.groups() <= GROUPS_MAX + 1);
    let size = pool_size(&engine, &team).await;
    assert!(size < 4_096, "{size} bytes");
    for result in store.charge(&team, all_actions("all"), now()).await {
        assert!(matches!(result, EntryResult::Created(_)), "{result:?}");
    }
    // All holds expire. The team gets back the credits owed, and new holds are accepted.
    let later = now().plus_seconds(41 * 24 * 60 * 60);
    let computed = store.projection_read(&team, later).await.unwrap();
    let again =
        store.hold_take(hold_entry(&team, 5_000, Size::Credits(5), 1, later), later).await.unwrap();
    assert!(matches!(again, EntryResult::Created(_)), "{again:?}");
    store.team_upkeep(&team, later).await.unwrap();
    let written = store.projection_read(&team, later).await.unwrap();
    let total = written.pool.balance.credits.checked_add(Credits::new(5));
    assert_eq!(total, Some(computed.pool.balance.credits));
    assert_eq!((written.pool.held, written.pool.open_holds), (Credits::new(5), 1));
    let longest = longest_expressions();
    assert!(longest.values().all(|bytes| *bytes < 3_072), "{longest:?}");
}

/// DynamoDB refuses an expression with a reserved word as a name. No code of an action makes one of a counter.
#[tokio::test]
async fn no_counter_has_a_reserved_name() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    for first in 'a'..='z' {
        let codes = ('a'..='z').map(|second| format!("{first}{second}"));
        let codes = codes.filter(|code| ActionCode::of(code).is_some());
        let counters =
            codes.flat_map(|code| ["a", "c", "s"].map(|letter| format!("{code}{letter}")));
        let sets: Vec<String> = counters.map(|counter| format!("#u.{counter} = :o")).collect();
        let update =
            engine.client().update_item().table_name(TABLE).set_key(Some(keys::pool(&team)));
        let update = update.update_expression(format!("SET {}", sets.join(", ")));
        let update = update.expression_attribute_names("#u", "used");
        update.expression_attribute_values(":o", keys::number(1)).send().await.unwrap();
    }
}

/// A pool with the maximum of credits accepts no purchase and no gift. Charges succeed.
#[tokio::test]
async fn rejects_credits_beyond_the_maximum_of_a_pool() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 10).await;
    let (user, one) = (|| "u".parse().unwrap(), Credits::new(1));
    let gift = |key| {
        let gift = GiftRequest { credits: one, reference: None };
        store.gift_add(gift.entry(&team, key_named(key), user(), now()).unwrap())
    };
    let order =
        |key| Purchase::new(&team, key_named(key), user(), prices().offer(one).unwrap(), now());
    let resize = async |credits: u64| {
        let client = engine.client();
        let pool = client.update_item().table_name(TABLE).set_key(Some(keys::pool(&team)));
        let pool = pool.update_expression("SET credits = :credits");
        pool.expression_attribute_values(":credits", keys::number(credits)).send().await.unwrap();
    };
    resize(POOL_CREDITS_MAX.get()).await;
    assert!(matches!(gift("gift").await.unwrap(), EntryResult::Created(_)));
    assert!(matches!(gift("more").await.unwrap(), EntryResult::Refused(Error::Invalid(_))));
    assert!(matches!(gift("gift").await.unwrap(), EntryResult::Replayed(_)));
    assert!(matches!(store.purchase_begin(&order("order")).await, Err(Error::Invalid(_))));
    let entry = charge(&team, "k", "linkedin_enrichment", "found");
    assert!(matches!(store.charge(&team, vec![entry], now()).await[..], [EntryResult::Created(_)]));
    assert!(store.purchase_begin(&order("order")).await.is_ok());
}

/// A charge without a price has no usage to count.
#[tokio::test]
async fn a_charge_without_a_price_is_refused() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 10).await;
    let entry = Entry { metering: None, ..charge(&team, "k", "linkedin_enrichment", "found") };
    let results = store.charge(&team, vec![entry], now()).await;
    assert!(matches!(results[..], [EntryResult::Refused(Error::Internal(_))]), "{results:?}");
}

/// The first hold finds none of its counters in the pool, the second all of them.
#[tokio::test]
async fn a_released_hold_adds_the_usage_of_40_actions() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 900_000).await;
    let single = charge(&team, "single", "email_finder", "not_found");
    store.charge(&team, vec![single.clone()], now()).await;
    let mut used = Usage::of([&single]).unwrap();
    for number in 1..=2 {
        let entry = hold_entry(&team, number, Size::Credits(2_000), 1, now());
        store.hold_take(entry, now()).await.unwrap();
        let hold = hold_id(&team, number);
        let charges = charges_of_40_actions(&team, &number.to_string());
        let captures: Vec<Entry> =
            charges.into_iter().map(|charge| capture(charge, &hold)).collect();
        let results = store.charge(&team, captures.clone(), now()).await;
        assert!(results.iter().all(|result| matches!(result, EntryResult::Created(_))));
        let by = Release { key: key_named(&hold.to_string()), user: "u".parse().unwrap() };
        store.hold_release(&team, &hold, &by, now()).await.unwrap();
        used.merge(&Usage::of(&captures).unwrap()).unwrap();
        let pool = store.pool_current(&team, now()).await.unwrap();
        assert_eq!(pool.used, used, "hold {number}");
    }
    let longest = longest_expressions();
    assert!(longest.values().all(|bytes| *bytes < 3_072), "{longest:?}");
}
