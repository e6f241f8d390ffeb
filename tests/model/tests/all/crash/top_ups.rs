//! Automatic top-ups in a simulation with faults: events arrive twice and concurrently, the process
//! is stopped at any await, the provider's answer is lost. Each event makes at most one purchase,
//! each purchase is paid once, the monthly limit holds, and a declined card is not charged again.

use std::collections::BTreeSet;

use engine::{Records, prices};
use futures_util::future::join_all;
use serde_json::json;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::{Details, Entry};
use shared::domain::payment::Decline;
use shared::domain::pool::Pool;
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::top_up::TopUpState;
use shared::domain::{Credits, Error};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use simulator::{Faults, World};

use crate::support::payments::{FAULTS, SLOW, account, attempts, deliver, process};
use crate::support::process::run_for_polls;
use crate::support::relay::relay_all;
use crate::support::teams::{charge, key_named, now, order, team_with, with_quantity};

const NONE: fn(u64) -> bool = |_| false;
const ALL: fn(u64) -> bool = |_| true;

/// Opens a team with 400 credits and an automatic top-up of 200.
async fn team_with_top_up(store: &Store, below: u64, limit: u64) -> TeamId {
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
    store.settings_change(team, &settings.into(), now()).await.unwrap();
}

fn due(team: &TeamId, number: u32) -> (Id, Vec<u8>) {
    let id = Id::of("ev", team, &number.to_string());
    let event = json!({ "detail-type": "top-up.due", "detail": { "id": id, "team": team } });
    (id, event.to_string().into_bytes())
}

async fn pool(world: &World, team: &TeamId) -> Pool {
    world.store().projection_read(team, world.now()).await.unwrap().pool
}

/// The credits of the top-ups in the history.
async fn bought(world: &World, team: &TeamId) -> Vec<i64> {
    let history =
        world.store().history_list(team, &Selection::default(), None, 1_000).await.unwrap();
    let is_top_up =
        |entry: &&Entry| matches!(&entry.details, Details::Purchase(purchased) if purchased.top_up);
    history.entries.iter().filter(is_top_up).map(|entry| entry.credits).collect()
}

#[test]
fn an_event_makes_one_purchase_after_a_stop_at_any_await() {
    for (declines, is_paid) in [(NONE, true), (ALL, false)] {
        for polls in 1.. {
            let is_complete = simulator::run(polls.into(), Faults::NONE, now(), async |world| {
                let team = team_with_top_up(&world.store(), 500, 600).await;
                let payments = account(&world, declines);
                let (_, event) = due(&team, 1);
                let first = process(&world, &payments);
                let first = Box::pin(purchase::top_up(&first, &event));
                let is_complete = matches!(run_for_polls(polls, first).await, Some(Ok(_)));
                for _ in 0..2 {
                    deliver(&process(&world, &payments), &event).await;
                }
                let pool = pool(&world, &team).await;
                let expected = if is_paid { (600, 200) } else { (400, 0) };
                let counted = pool.top_ups.unwrap().bought.get();
                assert_eq!((pool.balance.credits.get(), counted), expected, "after {polls} polls");
                assert_eq!(bought(&world, &team).await.len(), usize::from(is_paid));
                assert_eq!(attempts(&payments), 1, "after {polls} polls");
                is_complete
            });
            if is_complete.unwrap() {
                assert!(polls > 7, "{polls} polls are fewer than expected");
                break;
            }
        }
    }
}

/// Five events, each delivered four times concurrently, then once more in turn, because one top-up
/// waits for another. The limit of the month bounds the purchases.
#[test]
fn concurrent_events_respect_the_monthly_limit() {
    for seed in 0..20 {
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let team = team_with_top_up(&world.store(), 10_000, 600).await;
            let payments = account(&world, NONE);
            world.set_faults(Faults::MANY);
            payments.set_faults(FAULTS);
            let callers = (0..20).map(async |number| {
                let (_, event) = due(&team, number % 5);
                let polls = if fastrand::bool() { fastrand::u32(1..60) } else { u32::MAX };
                let dying = process(&world, &payments);
                if run_for_polls(polls, Box::pin(deliver(&dying, &event))).await.is_none() {
                    deliver(&process(&world, &payments), &event).await;
                }
            });
            join_all(callers.map(Box::pin)).await;
            world.set_faults(Faults::NONE);
            payments.set_faults(SLOW);
            for number in 0..5 {
                deliver(&process(&world, &payments), &due(&team, number).1).await;
            }
            assert_eq!(bought(&world, &team).await, [200, 200, 200], "seed {seed}");
            assert_eq!(attempts(&payments), 3, "seed {seed}");
            let pool = pool(&world, &team).await;
            assert_eq!(pool.balance.credits.get(), 1_000, "seed {seed}");
            assert_eq!(pool.top_ups.unwrap().bought.get(), 600, "seed {seed}");
        })
        .unwrap();
    }
}

/// Purchases that began before the first failure may also fail. None begins after it.
#[test]
fn a_declined_card_stops_top_ups() {
    for seed in 0..20 {
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let team = team_with_top_up(&world.store(), 10_000, 2_000).await;
            let payments = account(&world, ALL);
            world.set_faults(Faults::MANY);
            payments.set_faults(FAULTS);
            let callers = (0..6).map(async |number| {
                let state = process(&world, &payments);
                deliver(&state, &due(&team, number % 3).1).await
            });
            let answer = join_all(callers.map(Box::pin)).await;
            world.set_faults(Faults::NONE);
            payments.set_faults(SLOW);
            let known = attempts(&payments);
            for answer in answer.iter().filter(|answer| !answer["purchase"].is_null()) {
                assert_eq!(answer["purchase"]["status"], "failed", "seed {seed}");
            }
            for number in 0..10 {
                deliver(&process(&world, &payments), &due(&team, number).1).await;
            }
            assert_eq!(
                attempts(&payments),
                known,
                "seed {seed}: the declined card was charged again"
            );
            assert_eq!(bought(&world, &team).await, Vec::<i64>::new(), "seed {seed}");
            let failed = pool(&world, &team).await;
            assert_eq!(failed.top_up_state(), TopUpState::Failed, "seed {seed}");
            assert_eq!(failed.top_ups.unwrap().bought, Credits::ZERO, "seed {seed}");

            choose(&world.store(), &team, Some((10_000, 2_000))).await;
            payments.account().accept_all();
            deliver(&process(&world, &payments), &due(&team, 20).1).await;
            assert_eq!(bought(&world, &team).await, [200], "seed {seed}");
        })
        .unwrap();
    }
}

/// A late event is ignored if the balance is above the threshold again or the top-up was removed.
#[test]
fn ignores_an_event_that_no_longer_applies() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with_top_up(&store, 401, 600).await;
        let payments = account(&world, NONE);
        let state = process(&world, &payments);
        let nothing = json!({ "purchase": null });
        choose(&store, &team, None).await;
        assert_eq!(deliver(&state, &due(&team, 1).1).await, nothing);
        choose(&store, &team, Some((400, 600))).await;
        assert_eq!(deliver(&state, &due(&team, 1).1).await, nothing);
        choose(&store, &team, Some((401, 600))).await;
        store.terms_change(&team, now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
        assert_eq!(deliver(&state, &due(&team, 1).1).await, nothing);
        assert_eq!(attempts(&payments), 0);
    })
    .unwrap();
}

/// A process is stopped at any await of a top-up, and the account is closed. The event is delivered
/// again.
#[test]
fn a_redriven_top_up_of_a_closed_account_requests_no_payment() {
    let mut pending = 0;
    for polls in 1.. {
        let is_complete = simulator::run(polls.into(), Faults::NONE, now(), async |world| {
            let (store, payments) = (world.store(), account(&world, NONE));
            let team = team_with_top_up(&store, 500, 600).await;
            let (_, event) = due(&team, 1);
            let first = process(&world, &payments);
            let first = Box::pin(purchase::top_up(&first, &event));
            let is_complete = run_for_polls(polls, first).await.is_some();
            store.terms_change(&team, now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
            let is_pending = pool(&world, &team).await.pending_purchases > 0;
            let requested = attempts(&payments);
            let again = process(&world, &payments);
            let again = Box::pin(purchase::top_up(&again, &event)).await;
            let is_refused = matches!(again, Err(Error::AccountClosed));
            assert_eq!(is_refused, is_pending, "after {polls} polls: {again:?}");
            assert_eq!(attempts(&payments), requested, "after {polls} polls");
            pending += u32::from(is_pending);
            is_complete
        });
        if is_complete.unwrap() {
            assert!(pending > 2, "{pending}");
            break;
        }
    }
}

/// The payment of a purchase is confirmed three times at once, then once more.
#[test]
fn a_payment_adds_its_credits_once() {
    for seed in 0..10 {
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let store = world.store();
            let team = team_with(&store, "t", 0).await;
            let (begun, _) =
                store.purchase_begin(&order(&team, key_named("order"), 200, now())).await.unwrap();
            let settle = async || {
                let settled = world.store().purchase_settle(&begun, now()).await.unwrap();
                assert_eq!(settled.status, PurchaseStatus::Paid);
            };
            tokio::join!(settle(), settle(), settle());
            settle().await;
            let pool = pool(&world, &team).await;
            assert_eq!((pool.balance.credits.get(), pool.pending_purchases), (600, 0));
        })
        .unwrap();
    }
}

/// One process turns the automatic top-up off while another one changes its amounts.
#[test]
fn concurrent_changes_of_the_settings_succeed() {
    for seed in 0..20 {
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let team = team_with_top_up(&world.store(), 500, 600).await;
            let (one, other) = (world.store(), world.store());
            let amounts = Some((300, 900));
            tokio::join!(choose(&one, &team, None), choose(&other, &team, amounts));
            let stored = pool(&world, &team).await.settings.auto_top_up;
            assert!(stored.is_none_or(|top_up| top_up.below.get() == 300), "{stored:?}");
        })
        .unwrap();
    }
}

/// Relays the stream. Returns the number of due top-ups so far.
async fn due_so_far(world: &World, records: &mut Records) -> usize {
    relay_all(world, &records.read().unwrap()).await;
    let arrived = world.arrived();
    let due = arrived.iter().filter(|event| event["DetailType"] == "top-up.due");
    // An event may arrive twice.
    due.map(|event| event["Detail"].as_str().unwrap()).collect::<BTreeSet<_>>().len()
}

/// A top-up waits for a pending purchase. It is due again after that purchase if the balance is
/// still below the threshold, and once for each crossing.
#[test]
fn a_top_up_waits_for_a_pending_purchase() {
    for (credits, is_paid, due_again) in [(100, true, true), (100, false, true), (900, true, false)]
    {
        simulator::run_with_stream(1, Faults::NONE, now(), async |world| {
            let (store, mut records) = (world.store(), world.records().unwrap());
            let team = team_with_top_up(&store, 400, 600).await;
            let payments = account(&world, NONE);
            let state = process(&world, &payments);
            let (key, user) = (key_named("order"), "u".parse().unwrap());
            let order = Purchase::new(
                &team,
                key,
                user,
                prices().offer(Credits::new(credits)).unwrap(),
                now(),
            );
            let (order, _) = store.purchase_begin(&order).await.unwrap();
            let crossing = charge(&team, "sms", "sms", "sent");
            let crossing = Entry { credits: -150, ..with_quantity(crossing, 25) };
            store.charge(&team, vec![crossing], now()).await;
            assert_eq!(due_so_far(&world, &mut records).await, 1);
            assert_eq!(deliver(&state, &due(&team, 1).1).await, json!({ "purchase": null }));
            assert_eq!(attempts(&payments), 0, "no payment during the pending purchase");
            if is_paid {
                store.purchase_settle(&order, now()).await.unwrap();
            } else {
                store.purchase_fail(&order, &Decline::because("declined")).await.unwrap();
            }
            let due_now = due_so_far(&world, &mut records).await;
            assert_eq!(due_now, 1 + usize::from(due_again), "{credits} {is_paid}");
            let answer = deliver(&state, &due(&team, 2).1).await;
            assert_eq!(answer["purchase"]["status"] == "paid", due_again, "{answer}");
            assert_eq!(due_so_far(&world, &mut records).await, due_now, "once");
            let spent = charge(&team, "late", "sms", "sent");
            store.charge(&team, vec![Entry { credits: -100, ..spent }], now()).await;
            let again = deliver(&state, &due(&team, 1).1).await;
            assert_eq!(again, json!({ "purchase": null }), "the first event is delivered again");
        })
        .unwrap();
    }
}

/// A caller's key neither blocks a top-up nor is answered with one.
#[test]
fn a_top_up_shares_no_key_with_callers() {
    simulator::run(1, Faults::NONE, now(), async |world| {
        let store = world.store();
        let team = team_with_top_up(&store, 500, 600).await;
        let (id, event) = due(&team, 1);
        let sms = charge(&team, id.as_str(), "sms", "sent");
        let charged = store.charge(&team, vec![sms], now()).await;
        assert!(
            matches!(charged[0], EntryResult::Created(Entry { credits: -6, .. })),
            "{charged:?}"
        );
        let payments = account(&world, NONE);
        let answer = deliver(&process(&world, &payments), &event).await;
        assert_eq!(answer["purchase"]["status"], "paid", "{answer}");
        let order = |key: &str| {
            let (key, user) = (key_named(key), "u".parse().unwrap());
            Purchase::new(&team, key, user, prices().offer(Credits::new(200)).unwrap(), now())
        };
        let taken = store.purchase_begin(&order(id.as_str())).await;
        assert!(matches!(taken, Err(Error::KeyReused)), "{taken:?}");
        let (begun, is_replay) =
            store.purchase_begin(&order(&format!("top-up#{id}"))).await.unwrap();
        assert_eq!((begun.status, is_replay), (PurchaseStatus::Pending, false));
    })
    .unwrap();
}
