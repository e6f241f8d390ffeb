//! Items that a newer version wrote, with unknown attributes, plans, actions, kinds and settings,
//! pass through every read and write and keep what is unknown here.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use engine::{Engine, TABLE, catalogue, prices};
use lambda_runtime::{Context, LambdaEvent};
use refill::Summary;
use serde_json::json;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::purchase::{GiftRequest, Purchase, PurchaseStatus};
use shared::domain::settings::Settings;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::Release;
use shared::store::keys::{self, Item};
use simulator::Faults;

use crate::support::operations::Size;
use crate::support::teams::{charge, hold_entry, hold_id, key_named, now, team_with};

const NEXT_CYCLE: &str = "2027-02-10T00:00:00Z";

/// An attribute that only the newer version writes.
const NEWER: &str = "newer";

async fn update(client: &Client, key: Item, expression: &str, values: &[(&str, AttributeValue)]) {
    let mut update = client.update_item().table_name(TABLE).set_key(Some(key));
    update = update.update_expression(expression);
    if expression.contains("#plan") {
        update = update.expression_attribute_names("#plan", "plan");
    }
    for (name, value) in values {
        update = update.expression_attribute_values(*name, value.clone());
    }
    update.send().await.unwrap();
}

async fn item(client: &Client, key: Item) -> Item {
    client.get_item().table_name(TABLE).set_key(Some(key)).send().await.unwrap().item.unwrap()
}

fn map(pairs: &[(&str, AttributeValue)]) -> AttributeValue {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    AttributeValue::M(pairs.collect())
}

fn newer() -> AttributeValue {
    map(&[("of", keys::text("a newer version")), ("set", AttributeValue::Ss(vec!["a".into()]))])
}

/// Updates all items of a team as a newer version would: an unknown plan, and an additional
/// attribute everywhere.
async fn upgrade(client: &Client, team: &TeamId) {
    let pool = "SET newer = :newer, terms.newer = :newer, terms.subscription.newer = :newer, \
                terms.subscription.#plan = :plan, settings.newer = :newer, used.zza = :two, \
                used.zzc = :one, used.zzs = :seven";
    let values = [
        (":newer", newer()),
        (":plan", keys::text("platinum")),
        (":one", keys::number(1)),
        (":two", keys::number(2)),
        (":seven", keys::number(7)),
    ];
    update(client, keys::pool(team), pool, &values).await;
    let set = "SET newer = :newer";
    let values = [(":newer", newer())];
    update(client, keys::open_hold(team, &hold_id(team, 1)), set, &values).await;
    update(client, keys::account(team, &"acme".parse().unwrap()), set, &values).await;
}

async fn has_newer(client: &Client, key: Item) -> bool {
    item(client, key).await.get(NEWER) == Some(&newer())
}

/// Writes an entry of an unknown kind to the table and the history index.
async fn write_newer_entry(client: &Client, team: &TeamId) {
    let (at, id) = (now(), "e_00000000000000000000000000000007".parse().unwrap());
    let mut entry: Item = [
        ("pk", keys::text(format!("ENTRY#{team}#import#1"))),
        ("sk", keys::text("ENTRY")),
        ("history", keys::text(keys::history_shard(team, '7'))),
        ("position", keys::text(keys::position(at, &id))),
        ("id", keys::text(id.as_str())),
        ("team", keys::text(team.as_str())),
        ("kind", keys::text("import")),
        ("at", keys::text(at.to_string())),
        ("credits", AttributeValue::N("0".into())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    entry.insert(NEWER.to_owned(), newer());
    client.put_item().table_name(TABLE).set_item(Some(entry)).send().await.unwrap();
}

async fn team_of_a_newer_version(store: &Store, client: &Client) -> TeamId {
    let team = team_with(store, "t", 1_000).await;
    store.hold_take(hold_entry(&team, 1, Size::Credits(100), 40, now()), now()).await.unwrap();
    store.monitored_account_add(&team, &"acme".parse().unwrap(), prices(), now()).await.unwrap();
    upgrade(client, &team).await;
    write_newer_entry(client, &team).await;
    team
}

async fn is_charged(store: &Store, team: &TeamId, key: &str, at: Time) {
    let outcome = store.charge(team, vec![charge(team, key, "sms", "sent")], at).await;
    assert!(matches!(outcome[..], [EntryResult::Created(_)]), "{outcome:?}");
}

#[tokio::test]
async fn items_of_a_newer_version_pass_through_every_operation() {
    let engine = Engine::in_memory().await.unwrap();
    let (store, client) = (engine.store(), engine.client());
    let team = team_of_a_newer_version(&store, &client).await;

    let view = store.projection_read(&team, now()).await.unwrap();
    let subscription = view.pool.terms.subscription.clone().unwrap();
    assert_eq!((subscription.plan.as_str(), view.pool.balance.free().get()), ("platinum", 250));
    assert_eq!(view.pool.used.spent(), Ok(Credits::new(57)), "an unknown action is counted");
    let history = store.history_list(&team, &Selection::default(), None, 100).await.unwrap();
    let kinds: Vec<Kind> = history.entries.iter().map(Entry::kind).collect();
    assert!(kinds.contains(&Kind::Other("import".into())), "{kinds:?}");
    let imports = Selection { kind: Some(Kind::Other("import".into())), ..Selection::default() };
    assert_eq!(store.history_list(&team, &imports, None, 10).await.unwrap().entries.len(), 1);

    is_charged(&store, &team, "sms 1", now()).await;
    let (key, user) = (key_named("gift"), "u".parse::<shared::domain::ids::UserId>().unwrap());
    let gift = GiftRequest { credits: Credits::new(5), reference: None };
    store.gift_add(gift.entry(&team, key, user.clone(), now()).unwrap()).await.unwrap();
    let purchase = Purchase::new(
        &team,
        key_named("order"),
        user.clone(),
        prices().offer(Credits::new(50)).unwrap(),
        now(),
    );
    let (begun, _) = store.purchase_begin(&purchase).await.unwrap();
    store.purchase_settle(&begun, now()).await.unwrap();
    let settings: Settings = serde_json::from_str(r#"{"low_balance_threshold":10}"#).unwrap();
    store.settings_change(&team, &settings.into(), now()).await.unwrap();
    // A seat for a plan that is unknown here is granted by the terms that the subscription stores.
    let seats = serde_json::from_str(r#"{"plan":"platinum","seats":2}"#).unwrap();
    let pool = store
        .terms_change(&team, now(), |pool| pool.subscribe(&seats, &catalogue(), now()))
        .await
        .unwrap();
    assert_eq!(pool.balance.free().get(), 250 - 6 + 400);
    let unknown = serde_json::from_str(r#"{"plan":"palladium"}"#).unwrap();
    let refused = store
        .terms_change(&team, now(), |pool| pool.subscribe(&unknown, &catalogue(), now()))
        .await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");

    // The schedule ends the cycle and charges the account.
    let at: Time = NEXT_CYCLE.parse().unwrap();
    let app = App::new(store.clone(), Clock::new(move || at), catalogue());
    let run = refill::run(&app, None).await;
    assert_eq!(run, Summary { changed: 1, billed: 1, ..Summary::default() });
    let pool = store.pool_current(&team, at).await.unwrap();
    assert_eq!(pool.balance.free().get(), 750, "two seats at the stored terms, less 50");
    is_charged(&store, &team, "sms 2", at).await;
    let by = Release { key: key_named("end"), user };
    store.hold_release(&team, &hold_id(&team, 1), &by, at).await.unwrap();
    store.monitored_account_remove(&team, &"acme".parse().unwrap(), at).await.unwrap();

    // Every unknown attribute is kept.
    let stored = item(&client, keys::pool(&team)).await;
    let terms = stored["terms"].as_m().unwrap();
    let inner = [terms, terms["subscription"].as_m().unwrap(), stored["settings"].as_m().unwrap()];
    assert!(
        [&stored].into_iter().chain(inner).all(|map| map.get(NEWER) == Some(&newer())),
        "{stored:?}"
    );
    assert!(has_newer(&client, keys::closed_hold(&team, &hold_id(&team, 1))).await);
    assert!(has_newer(&client, keys::account(&team, &"acme".parse().unwrap())).await);
}

/// A scheduled subscription keeps all its attributes when it begins, and takes none of the previous
/// one.
#[tokio::test]
async fn a_scheduled_subscription_keeps_unknown_attributes() {
    let engine = Engine::in_memory().await.unwrap();
    let (store, client) = (engine.store(), engine.client());
    let team = team_with(&store, "t", 1_000).await;
    let later = format!(r#"{{"plan":"enterprise","started_at":"{NEXT_CYCLE}"}}"#);
    let later = serde_json::from_str(&later).unwrap();
    store
        .terms_change(&team, now(), |pool| pool.subscribe(&later, &catalogue(), now()))
        .await
        .unwrap();
    let set = "SET terms.scheduled.newer = :newer, terms.subscription.older = :newer";
    let note = map(&[("of", keys::text("a newer version")), ("number", keys::number(7))]);
    update(&client, keys::pool(&team), set, &[(":newer", note.clone())]).await;
    store.team_upkeep(&team, NEXT_CYCLE.parse().unwrap()).await.unwrap();
    let stored = item(&client, keys::pool(&team)).await;
    let subscription = stored["terms"].as_m().unwrap()["subscription"].as_m().unwrap();
    assert_eq!(subscription["plan"], keys::text("enterprise"));
    assert_eq!((subscription.get("newer"), subscription.get("older")), (Some(&note), None));
}

/// The top-up counters have an additional attribute. Top-ups proceed and fail as before.
#[tokio::test]
async fn top_up_counters_keep_unknown_attributes() {
    let engine = Engine::in_memory().await.unwrap();
    let (store, client) = (engine.store(), engine.client());
    let team = team_with(&store, "t", 100).await;
    let settings = r#"{"low_balance_threshold":10,
        "auto_top_up":{"below":9000,"credits":200,"monthly_limit":2000}}"#;
    let settings: Settings = serde_json::from_str(settings).unwrap();
    store.settings_change(&team, &settings.into(), now()).await.unwrap();
    let first =
        store.top_up_begin(&team, &"e_1".parse().unwrap(), prices(), now()).await.unwrap().unwrap();
    store.purchase_settle(&first, now()).await.unwrap();
    let set = "SET top_ups.newer = :newer";
    update(&client, keys::pool(&team), set, &[(":newer", newer())]).await;
    let second =
        store.top_up_begin(&team, &"e_2".parse().unwrap(), prices(), now()).await.unwrap().unwrap();
    let failed = store.purchase_fail(&second, "declined").await.unwrap();
    assert_eq!(failed.status, PurchaseStatus::Failed);
    let stored = item(&client, keys::pool(&team)).await;
    let top_ups = stored["top_ups"].as_m().unwrap();
    assert_eq!((&top_ups["bought"], &top_ups[NEWER]), (&keys::number(200), &newer()));
}

/// The relay reads the items of a newer version.
#[test]
fn the_relay_reads_items_of_a_newer_version() {
    simulator::run_with_stream(1, Faults::NONE, now(), async |world| {
        let (store, client) = (world.store(), world.client());
        let mut records = world.records().unwrap();
        let team = team_with(&store, "t", 1_000).await;
        let spoil = "SET newer = :newer, terms.subscription.#plan = :plan, settings.newer = :newer";
        let values = [(":newer", newer()), (":plan", keys::text("platinum"))];
        update(&client, keys::pool(&team), spoil, &values).await;
        is_charged(&store, &team, "sms 1", now()).await;
        let records = records.read().unwrap();
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let event = LambdaEvent::new(event, Context::default());
        let answer = relay::handle(&store, &world.bus(), event).await.unwrap();
        assert!(answer.batch_item_failures.is_empty(), "{answer:?}");
        let charged = world.arrived().into_iter();
        assert_eq!(charged.filter(|event| event["DetailType"] == "credits.charged").count(), 1);
    })
    .unwrap();
}
