//! The end of a cycle is applied once, whether by a read, a charge or the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Engine, catalogue};
use futures_util::future::join_all;
use shared::domain::Credits;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Kind;
use shared::domain::pool::Pool;
use shared::domain::purchase::GiftRequest;
use shared::domain::subscription::SubscriptionRequest;
use shared::domain::time::Time;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::keys::SHARDS;

use crate::support::teams::{charge, key_named, now, order, team_with};

fn boundary() -> Time {
    "2027-02-10T00:00:00Z".parse().unwrap()
}

#[tokio::test]
async fn a_charge_ends_a_due_cycle() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let spent: Vec<_> =
        (0..80).map(|n| charge(&team, &n.to_string(), "email_finder", "risky")).collect();
    store.charge(&team, spent, now()).await;
    let just_before: Time = "2027-02-09T23:59:59.999Z".parse().unwrap();
    let refused =
        store.charge(&team, vec![charge(&team, "more", "sms", "sent")], just_before).await;
    assert!(matches!(refused[..], [EntryResult::Refused(_)]));
    let charged = store.charge(&team, vec![charge(&team, "more", "sms", "sent")], boundary()).await;
    assert!(matches!(charged[..], [EntryResult::Created(_)]));
    assert_eq!(store.pool_current(&team, boundary()).await.unwrap().balance.free().get(), 394);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_callers_end_a_cycle_once() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 50).await;
    let all = (0..40).map(|n| {
        let (store, team) = (engine.store(), team.clone());
        tokio::spawn(async move {
            if n % 2 == 0 {
                store.pool_current(&team, boundary()).await.unwrap();
            } else {
                let entry = charge(&team, &n.to_string(), "linkedin_enrichment", "found");
                let results = store.charge(&team, vec![entry], boundary()).await;
                assert!(matches!(results[..], [EntryResult::Created(_)]), "{results:?}");
            }
        })
    });
    join_all(all).await.into_iter().for_each(Result::unwrap);
    let pool = store.pool_current(&team, boundary()).await.unwrap();
    assert_eq!((pool.balance.free().get(), pool.balance.purchased().get()), (380, 50));
    let history =
        store.history_list(&team, &Selection::default(), None, 1_000).await.unwrap().entries;
    let of = |kind: Kind| history.iter().filter(|entry| entry.kind() == kind).count();
    assert_eq!((of(Kind::Grant), of(Kind::Expiry)), (2, 1));
}

#[tokio::test]
async fn lists_due_teams_only() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let mut teams: Vec<TeamId> = Vec::new();
    for n in 0..40 {
        teams.push(team_with(&store, &format!("team-{n}"), 0).await);
    }
    let due = async |now: Time| {
        let mut teams = Vec::new();
        for shard in SHARDS {
            teams.extend(store.due_list(shard, now, None).await.unwrap().teams.into_keys());
        }
        teams.sort();
        teams
    };
    assert_eq!(due("2027-02-09T23:59:59Z".parse().unwrap()).await, []);
    teams.sort();
    assert_eq!(due(boundary()).await, teams);
    for team in teams.iter().skip(1) {
        store.pool_current(team, boundary()).await.unwrap();
    }
    assert_eq!(due(boundary()).await, teams[..1]);
    store.terms_change(&teams[0], now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
    assert_eq!(due(boundary()).await, [], "a closed account is never due");
}

/// A change that was decided on an older version of the terms is not written.
#[tokio::test]
async fn rejects_a_change_of_an_older_version() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let seen = store.pool_current(&team, now()).await.unwrap();
    let seats = serde_json::from_str(r#"{"plan":"multichannel_expert","seats":2}"#).unwrap();
    let cancel = seen.cancel(None, now()).unwrap().unwrap();
    store
        .terms_change(&team, now(), |pool| pool.subscribe(&seats, &catalogue(), now()))
        .await
        .unwrap();
    assert!(!store.terms_apply_once(&seen, &cancel).await.unwrap());
    let subscription = store.pool_current(&team, now()).await.unwrap().terms.subscription.unwrap();
    assert_eq!((subscription.seats, subscription.cancelled), (2, false));
}

/// A process whose clock is late still adds credits before the cycle ends.
#[tokio::test]
async fn rejects_a_reset_after_the_balance_has_changed() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let seen = store.pool_current(&team, now()).await.unwrap();
    let gift = GiftRequest { credits: Credits::new(7), reference: None };
    let gift = gift.entry(&team, key_named("gift"), "u".parse().unwrap(), now()).unwrap();
    store.gift_add(gift).await.unwrap();
    let reset = |pool: &Pool| pool.due_change(boundary()).unwrap().unwrap();
    assert!(!store.terms_apply_once(&seen, &reset(&seen)).await.unwrap());
    let seen = store.pool_current(&team, now()).await.unwrap();
    assert!(store.terms_apply_once(&seen, &reset(&seen)).await.unwrap());
}

fn subscription(body: &str) -> SubscriptionRequest {
    serde_json::from_str(body).unwrap()
}

/// Two plans that are requested at once each begin once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_plan_changes_apply_once_each() {
    let engine = Engine::in_memory().await.unwrap();
    for round in 0..30 {
        let store = engine.store();
        let team: TeamId = format!("t{round}").parse().unwrap();
        store.pool_open(&team).await.unwrap();
        let changes = ["multichannel_expert", "enterprise"].map(|plan| {
            let (store, team) = (store.clone(), team.clone());
            let request = subscription(&format!(r#"{{"plan":"{plan}"}}"#));
            tokio::spawn(async move {
                store
                    .terms_change(&team, now(), |pool| {
                        pool.subscribe(&request, &catalogue(), now())
                    })
                    .await
            })
        });
        for change in join_all(changes).await {
            change.unwrap().unwrap();
        }
        let grants = Selection { kind: Some(Kind::Grant), ..Selection::default() };
        let grants = store.history_list(&team, &grants, None, 10).await.unwrap().entries;
        assert_eq!(grants.len(), 2, "round {round}: {grants:?}");
    }
}

/// A plan change expires free credits. It succeeds while eight writers charge the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_changes_during_charges() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 100_000).await;
    let running = Arc::new(AtomicBool::new(true));
    let writers = (0..8_u32).map(|writer| {
        let (store, team, running) = (engine.store(), team.clone(), Arc::clone(&running));
        tokio::spawn(async move {
            let mut charged = 0;
            while running.load(Ordering::Relaxed) {
                let key = format!("{writer} {charged}");
                let entry = charge(&team, &key, "linkedin_enrichment", "found");
                let result = store.charge(&team, vec![entry], now()).await.pop();
                assert!(matches!(result, Some(EntryResult::Created(_))), "{result:?}");
                charged += 1;
            }
            charged
        })
    });
    let writers: Vec<_> = writers.collect();
    for plan in ["free_trial", "multichannel_expert", "enterprise", "free_trial"] {
        let request = subscription(&format!(r#"{{"plan":"{plan}"}}"#));
        let changed = store
            .terms_change(&team, now(), |pool| pool.subscribe(&request, &catalogue(), now()))
            .await;
        assert_eq!(changed.unwrap().terms.subscription.unwrap().plan, plan);
    }
    running.store(false, Ordering::Relaxed);
    let charged: i64 = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    let history = store.history_list(&team, &Selection::default(), None, 100_000).await.unwrap();
    let sum = |kind| -> i64 {
        let of_kind = history.entries.iter().filter(|entry| entry.kind() == kind);
        of_kind.map(|entry| entry.credits).sum()
    };
    assert_eq!(sum(Kind::Charge), -charged);
    assert_eq!(sum(Kind::Grant), 400 + 200 + 400 + 400 + 200);
    let left = store.pool_current(&team, now()).await.unwrap().balance;
    let total = sum(Kind::Charge) + sum(Kind::Grant) + sum(Kind::Gift) + sum(Kind::Expiry);
    assert_eq!(total, left.credits.gained());
}

/// A purchase that is paid after the end of a cycle counts in the next one.
#[tokio::test]
async fn a_late_payment_counts_in_the_next_cycle() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let order = order(&team, key_named("order"), 50, now());
    let (begun, _) = store.purchase_begin(&order).await.unwrap();
    store.purchase_settle(&begun, boundary()).await.unwrap();
    let pool = store.pool_current(&team, boundary()).await.unwrap();
    assert_eq!(pool.totals.purchased, Credits::new(50));
}
