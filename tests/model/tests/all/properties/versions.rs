//! Items that a newer version wrote, with unknown attributes, plans, actions, kinds and settings,
//! pass through every read and write and keep what is unknown here.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use engine::{Engine, TABLE, catalogue, prices};
use refill::Summary;
use serde_json::json;
use shared::domain::ids::{TeamId, UserId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::payment::Decline;
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

use crate::support::lanes::{charge_one, team_with_a_lane, without_faults};
use crate::support::operations::Size;
use crate::support::relay::reported;
use crate::support::teams::{
    charge, hold_entry, hold_id, key_named, now, order, team_with, with_quantity,
};

const NEXT_CYCLE: &str = "2027-02-10T00:00:00Z";

/// An attribute that only the newer version writes.
const NEWER: &str = "newer";

async fn update(client: &Client, key: Item, expression: &str, values: &[(&str, AttributeValue)]) {
    let mut update = client.update_item().table_name(TABLE).set_key(Some(key));
    update = update.update_expression(expression);
    for name in ["plan", "grant", "status"] {
        let placeholder = format!("#{name}");
        if expression.contains(&placeholder) {
            update = update.expression_attribute_names(placeholder, name);
        }
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
                terms.subscription.#plan = :plan, terms.subscription.#grant.newer = :newer, \
                settings.newer = :newer, totals.newer = :newer, used.zza = :two, \
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

/// Puts a new item.
async fn put_new(client: &Client, item: Item) {
    let put = Put::builder().table_name(TABLE).set_item(Some(item));
    let put = put.condition_expression("attribute_not_exists(pk)").build().unwrap();
    let put = TransactWriteItem::builder().put(put).build();
    client.transact_write_items().transact_items(put).send().await.unwrap();
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
    put_new(client, entry).await;
}

/// Writes items of unknown kinds, all due: one in the partition of the team and one in its own.
async fn write_unknown_items(client: &Client, team: &TeamId) {
    for (pk, sk) in [(keys::team(team), "FORECAST#1"), (format!("FORECAST#{team}"), "FORECAST")] {
        let item = [
            ("pk", keys::text(pk)),
            ("sk", keys::text(sk)),
            ("due", keys::text(keys::due_shard_of(team))),
            ("due_at", keys::text(now().to_string())),
            (NEWER, newer()),
        ];
        let item: Item = item.map(|(name, value)| (name.to_owned(), value)).into();
        put_new(client, item).await;
    }
}

async fn team_of_a_newer_version(store: &Store, client: &Client) -> TeamId {
    let team = team_with(store, "t", 1_000).await;
    store.hold_take(hold_entry(&team, 1, Size::Credits(100), 40, now()), now()).await.unwrap();
    store.monitored_account_add(&team, &"acme".parse().unwrap(), prices(), now()).await.unwrap();
    upgrade(client, &team).await;
    write_newer_entry(client, &team).await;
    write_unknown_items(client, &team).await;
    team
}

async fn is_charged(store: &Store, team: &TeamId, key: &str, at: Time) {
    let outcome = store.charge(team, vec![charge(team, key, "sms", "sent")], at).await;
    assert!(matches!(outcome[..], [EntryResult::Created(_)]), "{outcome:?}");
}

/// A seat for a plan that is unknown here is granted by the terms that the subscription stores.
async fn add_a_seat(store: &Store, team: &TeamId) {
    let seats = serde_json::from_str(r#"{"plan":"platinum","seats":2}"#).unwrap();
    let pool = store
        .terms_change(team, now(), |pool| pool.subscribe(&seats, &catalogue(), now()))
        .await
        .unwrap();
    assert_eq!(pool.balance.free().get(), 250 - 6 + 400);
    let unknown = serde_json::from_str(r#"{"plan":"palladium"}"#).unwrap();
    let refused =
        store.terms_change(team, now(), |pool| pool.subscribe(&unknown, &catalogue(), now())).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
}

fn user() -> UserId {
    "u".parse().unwrap()
}

/// A gift of 5 credits and a purchase of 50, whose record has an attribute of a newer version. Returns the key of the
/// record.
async fn add_credits(store: &Store, client: &Client, team: &TeamId) -> Item {
    let gift = GiftRequest { credits: Credits::new(5), reference: None };
    let gift = gift.entry(team, key_named("gift"), user(), now()).unwrap();
    store.gift_add(gift).await.unwrap();
    let offer = prices().offer(Credits::new(50)).unwrap();
    let purchase = Purchase::new(team, key_named("order"), user(), offer, now());
    let (begun, _) = store.purchase_begin(&purchase).await.unwrap();
    let order = keys::purchase(team, &begun.id);
    update(client, order.clone(), "SET newer = :newer", &[(":newer", newer())]).await;
    store.purchase_settle(&begun, now()).await.unwrap();
    order
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
    let order = add_credits(&store, &client, &team).await;
    let settings: Settings = serde_json::from_str(r#"{"low_balance_threshold":10}"#).unwrap();
    store.settings_change(&team, &settings.into(), now()).await.unwrap();
    add_a_seat(&store, &team).await;

    // Totals of a newer version are kept within the cycle.
    let stored = item(&client, keys::pool(&team)).await;
    assert_eq!(stored["totals"].as_m().unwrap().get(NEWER), Some(&newer()));

    // The schedule ends the cycle and charges the account.
    let at: Time = NEXT_CYCLE.parse().unwrap();
    let app = App::new(store.clone(), Clock::new(move || at), catalogue());
    let run = refill::run(&app, None).await;
    assert_eq!(run, Summary { changed: 1, billed: 1, ..Summary::default() });
    let pool = store.pool_current(&team, at).await.unwrap();
    assert_eq!(pool.balance.free().get(), 750, "two seats at the stored terms, less 50");
    is_charged(&store, &team, "sms 2", at).await;
    let by = Release { key: key_named("end"), user: user() };
    store.hold_release(&team, &hold_id(&team, 1), &by, at).await.unwrap();
    store.monitored_account_remove(&team, &"acme".parse().unwrap(), at).await.unwrap();

    // Every unknown attribute is kept.
    let stored = item(&client, keys::pool(&team)).await;
    let terms = stored["terms"].as_m().unwrap();
    let subscription = terms["subscription"].as_m().unwrap();
    let grant = subscription["grant"].as_m().unwrap();
    let inner = [terms, subscription, grant, stored["settings"].as_m().unwrap()];
    assert!(
        [&stored].into_iter().chain(inner).all(|map| map.get(NEWER) == Some(&newer())),
        "{stored:?}"
    );
    assert!(has_newer(&client, keys::closed_hold(&team, &hold_id(&team, 1))).await);
    assert!(has_newer(&client, keys::account(&team, &"acme".parse().unwrap())).await);
    assert!(has_newer(&client, order).await);
    // The totals and the counters of an ended cycle are not those of the next one.
    for (map, counter) in [("totals", NEWER), ("used", "zza")] {
        assert!(!stored[map].as_m().unwrap().contains_key(counter), "{stored:?}");
    }
}

/// A stored refusal and an automatic top-up that is turned off are replaced as a whole. The amounts of
/// an automatic top-up are changed one by one.
#[tokio::test]
async fn settings_keep_unknown_attributes_and_a_refusal_is_replaced() {
    let engine = Engine::in_memory().await.unwrap();
    let (store, client) = (engine.store(), engine.client());
    let team = team_with(&store, "t", 0).await;
    let top_up = async |below: u64| {
        let top_up = json!({ "below": below, "credits": 200, "monthly_limit": 2_000 });
        let top_up = if below == 0 { json!(null) } else { top_up };
        let settings: Settings =
            serde_json::from_value(json!({ "low_balance_threshold": 10, "auto_top_up": top_up }))
                .unwrap();
        store.settings_change(&team, &settings.into(), now()).await.unwrap();
        item(&client, keys::pool(&team)).await["settings"].as_m().unwrap()["auto_top_up"].clone()
    };
    top_up(100).await;
    let set = "SET settings.auto_top_up.newer = :newer";
    update(&client, keys::pool(&team), set, &[(":newer", newer())]).await;
    let changed = top_up(300).await;
    let changed = changed.as_m().unwrap();
    assert_eq!((&changed["below"], changed.get(NEWER)), (&keys::number(300), Some(&newer())));
    top_up(0).await;
    assert_eq!(top_up(100).await.as_m().unwrap().get(NEWER), None, "it was turned off");

    let refuse = async |key| {
        let expensive = with_quantity(charge(&team, key, "sms", "sent"), 900);
        let expensive = Entry { credits: -5_400, ..expensive };
        let refused = store.charge(&team, vec![expensive], now()).await;
        assert!(matches!(refused[..], [EntryResult::Refused(_)]), "{refused:?}");
        item(&client, keys::pool(&team)).await["refused"].as_m().unwrap().clone()
    };
    refuse("first").await;
    update(&client, keys::pool(&team), "SET refused.newer = :newer", &[(":newer", newer())]).await;
    assert_eq!(refuse("again").await.get(NEWER), Some(&newer()), "the first refusal stays");
    let gift = GiftRequest { credits: Credits::new(5), reference: None };
    let gift = gift.entry(&team, key_named("gift"), "u".parse().unwrap(), now()).unwrap();
    store.gift_add(gift).await.unwrap();
    assert_eq!(refuse("another").await.get(NEWER), None);
}

/// A lane with unknown attributes pays charges, and its credits return.
#[test]
fn a_lane_of_a_newer_version_pays_and_returns() {
    without_faults(async |world| {
        let (owner, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let client = world.client();
        let markers = client.query().table_name(TABLE).key_condition_expression("pk = :lanes");
        let markers = markers
            .expression_attribute_values(":lanes", keys::text(keys::lanes(&team)))
            .send()
            .await
            .unwrap();
        let mut lanes = Vec::new();
        for marker in markers.items() {
            let id = keys::lane_of_marker(marker).unwrap();
            for key in [keys::lane(&team, &id), keys::lane_marker_key(&team, &id)] {
                update(&client, key, "SET newer = :newer", &[(":newer", newer())]).await;
            }
            lanes.push(keys::lane(&team, &id));
        }
        let before = item(&client, lanes[0].clone()).await;
        for number in 0..3 {
            charge_one(&owner, &team, &number.to_string(), world.now()).await;
        }
        let after = item(&client, lanes[0].clone()).await;
        assert!(after["remaining"] != before["remaining"], "the lane pays");
        assert_eq!(after.get(NEWER), Some(&newer()));
        let all = hold_entry(&team, 1, Size::Credits(3_375), 1, world.now());
        let held = world.store().hold_take(all, world.now()).await.unwrap();
        assert!(matches!(held, EntryResult::Created(_)), "{held:?}");
    });
}

/// A message of an unknown kind, or with an unknown attribute, is rejected and changes nothing.
#[tokio::test]
async fn a_message_of_a_newer_version_changes_nothing() {
    let engine = Engine::in_memory().await.unwrap();
    let (store, client) = (engine.store(), engine.client());
    let team = team_with(&store, "t", 0).await;
    let app = App::new(store.clone(), Clock::new(now), catalogue());
    let before = item(&client, keys::pool(&team)).await;
    let deliver = async |kind: &str, detail: serde_json::Value| {
        let message = json!({ "detail-type": kind, "detail": detail }).to_string();
        team::apply_message(&app, message.as_bytes()).await
    };
    let changed = json!({ "team": "t", "version": 2, "plan": "multichannel_expert", "seats": 2 });
    let mut with_more = changed.clone();
    with_more[NEWER] = json!({ "of": "a newer version" });
    for (kind, detail) in [
        ("subscription.paused", json!({ "team": "t", "version": 2 })),
        ("subscription.changed", with_more),
        ("subscription.cancelled", json!({ "team": "t", "version": 2, "newer": true })),
    ] {
        let rejected = deliver(kind, detail).await;
        assert!(matches!(rejected, Err(Error::Invalid(_))), "{kind}: {rejected:?}");
        assert_eq!(item(&client, keys::pool(&team)).await, before, "{kind}");
    }
    assert_eq!(deliver("subscription.changed", changed).await.unwrap()["version"], 2);
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
    let set = "SET terms.scheduled.newer = :newer, terms.subscription.older = :newer, \
               terms.scheduled.#grant.newer = :newer, terms.subscription.#grant.older = :newer";
    let note = map(&[("of", keys::text("a newer version")), ("number", keys::number(7))]);
    update(&client, keys::pool(&team), set, &[(":newer", note.clone())]).await;
    store.team_upkeep(&team, NEXT_CYCLE.parse().unwrap()).await.unwrap();
    let stored = item(&client, keys::pool(&team)).await;
    let subscription = stored["terms"].as_m().unwrap()["subscription"].as_m().unwrap();
    assert_eq!(subscription["plan"], keys::text("enterprise"));
    for map in [subscription, subscription["grant"].as_m().unwrap()] {
        assert_eq!((map.get("newer"), map.get("older")), (Some(&note), None), "{map:?}");
    }
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
    let failed = store.purchase_fail(&second, &Decline::because("declined")).await.unwrap();
    assert_eq!(failed.status, PurchaseStatus::Failed);
    let stored = item(&client, keys::pool(&team)).await;
    let top_ups = stored["top_ups"].as_m().unwrap();
    assert_eq!((&top_ups["bought"], &top_ups[NEWER]), (&keys::number(200), &newer()));
}

/// The relay reads items of a newer version: each item of a known kind with an unknown attribute, an
/// entry of an unknown kind, and items of unknown kinds.
#[test]
fn the_relay_reads_items_of_a_newer_version() {
    simulator::run_with_stream(1, Faults::NONE, now(), async |world| {
        let (store, client) = (world.store(), world.client());
        let mut records = world.records().unwrap();
        let team = team_of_a_newer_version(&store, &client).await;
        is_charged(&store, &team, "sms 1", now()).await;
        let mut charged = item(&client, keys::entry(&charge(&team, "sms 1", "sms", "sent"))).await;
        charged.extend(keys::entry(&charge(&team, "sms 2", "sms", "sent")));
        charged.insert(NEWER.to_owned(), newer());
        put_new(&client, charged).await;
        let set = "SET newer = :newer";
        let lane = keys::lane(&team, &"l_1".parse().unwrap());
        update(&client, lane, set, &[(":newer", newer())]).await;
        let (begun, _) =
            store.purchase_begin(&order(&team, key_named("order"), 50, now())).await.unwrap();
        update(&client, keys::purchase(&team, &begun.id), set, &[(":newer", newer())]).await;
        store.purchase_fail(&begun, &Decline::because("declined")).await.unwrap();
        let account = keys::account(&team, &"acme".parse().unwrap());
        let paused = [(":paused", keys::text("paused"))];
        update(&client, account, "SET #status = :paused", &paused).await;
        let at: Time = NEXT_CYCLE.parse().unwrap();
        store.team_upkeep(&team, at).await.unwrap();

        let numbers = reported(&world, &records.read().unwrap()).await.unwrap();
        assert!(numbers.is_empty(), "{numbers:?}");
        let arrived = world.arrived();
        assert!(arrived.iter().all(|event| event["Source"] == "credits"), "{arrived:?}");
        let times = |kind: &str| arrived.iter().filter(|it| it["DetailType"] == kind).count();
        let kinds = ["credits.charged", "purchase.failed", "monitoring.paused", "credits.expired"];
        assert_eq!(kinds.map(times), [3, 1, 1, 1], "{arrived:?}");
        assert_eq!(times("credits.refilled"), 2);
        let ended = store.statement_list(&team, None).await.unwrap();
        let used: Vec<_> = ended.iter().map(|statement| statement.used.spent()).collect();
        assert_eq!(used, [Ok(Credits::new(50 + 6 + 7))], "an unknown action is counted");
    })
    .unwrap();
}
