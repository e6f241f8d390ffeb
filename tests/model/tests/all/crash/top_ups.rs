//! Automatic top-ups in a rough world: events come twice and at once, the process dies at any await,
//! the provider's answer gets lost. Each event makes one purchase at most, each purchase takes its
//! money once, a month stays within its limit, and a declined card is not asked again and again.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::Records;
use futures_util::future::join_all;
use purchase::PurchaseState;
use purchase::payments::Payments;
use serde_json::json;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::limits::PurchaseLimits;
use shared::domain::pool::Pool;
use shared::domain::purchase::{Purchase, Status};
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::top_up::State;
use shared::domain::{Credits, Error};
use shared::http::{App, Clock};
use shared::store::Store;
use shared::store::history::Selection;
use shared::store::outcome::Outcome;
use simulator::{Nature, World};

use crate::support::payments::{Provider, bring};
use crate::support::process::dies_at;
use crate::support::relay::relayed;
use crate::support::teams::{charge, key_named, now, team_with};

const NONE: fn(&Purchase) -> bool = |_| false;
const ALL: fn(&Purchase) -> bool = |_| true;

fn purchase_state(world: &World, payments: &Arc<Provider>) -> PurchaseState {
    let (store, time) = (world.store(), world.clone());
    let app = App::new(store, Clock::new(move || time.now()));
    PurchaseState {
        app,
        limits: PurchaseLimits::default(),
        payments: Arc::clone(payments) as Arc<dyn Payments>,
    }
}

/// The team has 400 credits.
async fn team_that_wants(store: &Store, below: u64, limit: u64) -> TeamId {
    let team = team_with(store, "t", 0).await;
    choose(store, &team, Some((below, limit))).await;
    team
}

async fn choose(store: &Store, team: &TeamId, top_up: Option<(u64, u64)>) {
    let auto_top_up = top_up.map(|(below, limit)| AutoTopUp {
        below: Credits::new(below),
        credits: Credits::new(200),
        monthly_limit: Credits::new(limit),
    });
    let settings = Settings { auto_top_up, ..Settings::default() };
    store.set(team, &settings, now()).await.unwrap();
}

fn due(team: &TeamId, number: u32) -> (Id, Vec<u8>) {
    let id = Id::of("ev", team, &number.to_string());
    let event = json!({ "detail-type": "top-up.due", "detail": { "id": id, "team": team } });
    (id, event.to_string().into_bytes())
}

async fn pool(world: &World, team: &TeamId) -> Pool {
    world.store().view(team, world.now()).await.unwrap().pool
}

/// What the history has of top-ups: their credits.
async fn bought(world: &World, team: &TeamId) -> Vec<i64> {
    let history = world.store().history(team, &Selection::default(), None, 1_000).await.unwrap();
    let bought = history.entries.iter().filter(|entry| entry.kind == Kind::Purchase);
    bought.filter(|entry| entry.top_up).map(|entry| entry.credits).collect()
}

#[test]
fn an_event_makes_one_purchase_whenever_it_dies() {
    for (declines, is_paid) in [(NONE, true), (ALL, false)] {
        for polls in 1.. {
            let came_to_its_end =
                simulator::run(polls.into(), Nature::CALM, now(), async |world| {
                    let team = team_that_wants(&world.store(), 500, 600).await;
                    let payments = Arc::new(Provider::that_declines(declines));
                    let (_, event) = due(&team, 1);
                    let first = purchase_state(&world, &payments);
                    let first = Box::pin(purchase::top_up(&first, &event));
                    let came_to_its_end = matches!(dies_at(polls, first).await, Some(Ok(_)));
                    for _ in 0..2 {
                        bring(&purchase_state(&world, &payments), &event).await;
                    }
                    let pool = pool(&world, &team).await;
                    let expected = if is_paid { (600, 200) } else { (400, 0) };
                    let counted = pool.top_ups.unwrap().bought.get();
                    assert_eq!(
                        (pool.balance.credits.get(), counted),
                        expected,
                        "after {polls} polls"
                    );
                    assert_eq!(bought(&world, &team).await.len(), usize::from(is_paid));
                    assert_eq!(payments.asked.lock().unwrap().len(), 1, "after {polls} polls");
                    came_to_its_end
                });
            if came_to_its_end.unwrap() {
                assert!(polls > 7, "{polls} polls are too few to have seen much");
                break;
            }
        }
    }
}

/// Five events at once, each four times, and once more one after the other, for one top-up waits for
/// another. As many are bought as the month's limit allows.
#[test]
fn a_crowd_of_events_keeps_to_the_limit() {
    for seed in 0..20 {
        simulator::run(seed, Nature::CALM, now(), async |world| {
            let team = team_that_wants(&world.store(), 10_000, 600).await;
            let payments = Arc::new(Provider::that_declines(NONE));
            world.turn(Nature::ROUGH);
            let crowd = (0..20).map(async |number| {
                let (_, event) = due(&team, number % 5);
                let polls = if fastrand::bool() { fastrand::u32(1..60) } else { u32::MAX };
                let dying = purchase_state(&world, &payments);
                if dies_at(polls, Box::pin(bring(&dying, &event))).await.is_none() {
                    bring(&purchase_state(&world, &payments), &event).await;
                }
            });
            join_all(crowd.map(Box::pin)).await;
            world.turn(Nature::CALM);
            for number in 0..5 {
                bring(&purchase_state(&world, &payments), &due(&team, number).1).await;
            }
            assert_eq!(bought(&world, &team).await, [200, 200, 200], "seed {seed}");
            assert_eq!(payments.asked.lock().unwrap().len(), 3, "seed {seed}");
            let pool = pool(&world, &team).await;
            assert_eq!(pool.balance.credits.get(), 1_000, "seed {seed}");
            assert_eq!(pool.top_ups.unwrap().bought.get(), 600, "seed {seed}");
        })
        .unwrap();
    }
}

/// Whatever has been begun before the first of them fails may fail as well; nothing is begun after it.
#[test]
fn a_declined_card_ends_it() {
    for seed in 0..20 {
        simulator::run(seed, Nature::CALM, now(), async |world| {
            let team = team_that_wants(&world.store(), 10_000, 2_000).await;
            let payments = Arc::new(Provider::that_declines(ALL));
            world.turn(Nature::ROUGH);
            let crowd = (0..6).map(async |number| {
                let state = purchase_state(&world, &payments);
                bring(&state, &due(&team, number % 3).1).await
            });
            let came = join_all(crowd.map(Box::pin)).await;
            world.turn(Nature::CALM);
            let known = payments.asked.lock().unwrap().clone();
            for came in came.iter().filter(|came| !came["purchase"].is_null()) {
                assert_eq!(came["purchase"]["status"], "failed", "seed {seed}");
            }
            for number in 0..10 {
                bring(&purchase_state(&world, &payments), &due(&team, number).1).await;
            }
            assert_eq!(*payments.asked.lock().unwrap(), known, "seed {seed}: asked again");
            assert_eq!(bought(&world, &team).await, Vec::<i64>::new(), "seed {seed}");
            let failed = pool(&world, &team).await;
            assert_eq!(failed.top_up_state(), State::Failed, "seed {seed}");
            assert_eq!(failed.top_ups.unwrap().bought, Credits::ZERO, "seed {seed}");

            choose(&world.store(), &team, Some((10_000, 2_000))).await;
            let state = PurchaseState {
                payments: Arc::new(Provider::that_declines(NONE)),
                ..purchase_state(&world, &payments)
            };
            bring(&state, &due(&team, 20).1).await;
            assert_eq!(bought(&world, &team).await, [200], "seed {seed}");
        })
        .unwrap();
    }
}

/// An event may be late: the team has credits again, or does not want it any more.
#[test]
fn what_is_wanted_no_longer_is_not_bought() {
    simulator::run(1, Nature::CALM, now(), async |world| {
        let store = world.store();
        let team = team_that_wants(&store, 401, 600).await;
        let payments = Arc::new(Provider::that_declines(NONE));
        let state = purchase_state(&world, &payments);
        let nothing = json!({ "purchase": null });
        choose(&store, &team, None).await;
        assert_eq!(bring(&state, &due(&team, 1).1).await, nothing);
        choose(&store, &team, Some((400, 600))).await;
        assert_eq!(bring(&state, &due(&team, 1).1).await, nothing);
        choose(&store, &team, Some((401, 600))).await;
        store.change(&team, now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
        assert_eq!(bring(&state, &due(&team, 1).1).await, nothing);
        assert!(payments.asked.lock().unwrap().is_empty());
    })
    .unwrap();
}

/// How many top-ups were due so far, after the stream was relayed.
async fn due_so_far(world: &World, records: &mut Records) -> usize {
    relayed(world, &records.read().unwrap()).await;
    let arrived = world.arrived();
    let due = arrived.iter().filter(|event| event["DetailType"] == "top-up.due");
    // An event may arrive twice.
    due.map(|event| event["Detail"].as_str().unwrap()).collect::<BTreeSet<_>>().len()
}

/// While an admin's purchase is pending, a top-up waits. It is due again once the purchase has ended,
/// if the team still wants it, and once for each crossing.
#[test]
fn a_top_up_waits_for_a_pending_purchase() {
    for (credits, is_paid, due_again) in [(100, true, true), (100, false, true), (900, true, false)]
    {
        simulator::run_with_stream(1, Nature::CALM, now(), async |world| {
            let (store, mut records) = (world.store(), world.records().unwrap());
            let team = team_that_wants(&store, 400, 600).await;
            let payments = Arc::new(Provider::that_declines(NONE));
            let state = purchase_state(&world, &payments);
            let (key, user) = (key_named("order"), "u".parse().unwrap());
            let order = Purchase::new(&team, key, user, Credits::new(credits), now());
            let (order, _) = store.begin(&order).await.unwrap();
            let crossing = charge(&team, "sms", "sms", "sent");
            let crossing = Entry { credits: -150, quantity: Some(25), ..crossing };
            store.charge(&team, vec![crossing], now()).await;
            assert_eq!(due_so_far(&world, &mut records).await, 1);
            assert_eq!(bring(&state, &due(&team, 1).1).await, json!({ "purchase": null }));
            assert!(payments.asked.lock().unwrap().is_empty(), "nothing is bought meanwhile");
            if is_paid {
                store.settle(&order, now()).await.unwrap();
            } else {
                store.fail(&order, "the card was declined").await.unwrap();
            }
            let due_now = due_so_far(&world, &mut records).await;
            assert_eq!(due_now, 1 + usize::from(due_again), "{credits} {is_paid}");
            let came = bring(&state, &due(&team, 2).1).await;
            assert_eq!(came["purchase"]["status"] == "paid", due_again, "{came}");
            assert_eq!(due_so_far(&world, &mut records).await, due_now, "once");
            let spent = charge(&team, "late", "sms", "sent");
            store.charge(&team, vec![Entry { credits: -100, ..spent }], now()).await;
            let again = bring(&state, &due(&team, 1).1).await;
            assert_eq!(again, json!({ "purchase": null }), "the first event comes again");
        })
        .unwrap();
    }
}

/// A caller cannot keep a top-up from being made by taking its key, nor be answered with one.
#[test]
fn a_top_up_has_a_key_that_no_caller_can_take() {
    simulator::run(1, Nature::CALM, now(), async |world| {
        let store = world.store();
        let team = team_that_wants(&store, 500, 600).await;
        let (id, event) = due(&team, 1);
        let sms = charge(&team, id.as_str(), "sms", "sent");
        let charged = store.charge(&team, vec![sms], now()).await;
        assert!(matches!(charged[0], Outcome::Charged(Entry { credits: -6, .. })), "{charged:?}");
        let payments = Arc::new(Provider::that_declines(NONE));
        let came = bring(&purchase_state(&world, &payments), &event).await;
        assert_eq!(came["purchase"]["status"], "paid", "{came}");
        let order = |key: &str| {
            let (key, user) = (key_named(key), "u".parse().unwrap());
            Purchase::new(&team, key, user, Credits::new(200), now())
        };
        let taken = store.begin(&order(id.as_str())).await;
        assert!(matches!(taken, Err(Error::KeyReused)), "{taken:?}");
        let (begun, is_replay) = store.begin(&order(&format!("top-up#{id}"))).await.unwrap();
        assert_eq!((begun.status, is_replay), (Status::Pending, false));
    })
    .unwrap();
}
