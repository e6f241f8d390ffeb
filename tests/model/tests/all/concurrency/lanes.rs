//! Lanes do not change a balance, and their credits are never lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::catalogue;
use futures_util::future::join_all;
use shared::domain::ledger::entry::Entry;
use shared::domain::pool::Account;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::store::entry::EntryResult;
use shared::store::keys;
use simulator::Faults;
use tokio::time::{Instant, sleep};

use crate::support::lanes::{charge_one, has_lanes, team_with_a_lane, without_faults};
use crate::support::operations::Size;
use crate::support::teams::{charge, hold_entry, team_with};

#[test]
fn a_read_counts_an_expired_lane_and_the_schedule_returns_it() {
    without_faults(async |world| {
        let (_, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        // The owner of the lane has crashed.
        sleep(Duration::from_secs(6)).await;
        let _ = world.tally();
        let view = world.store().projection_read(&team, world.now()).await.unwrap();
        assert_eq!((view.pool.lanes, view.pool.balance.free().get()), (Credits::ZERO, 390));
        assert_eq!(world.tally().write_units, 0, "a read writes nothing");
        world.store().team_upkeep(&team, world.now()).await.unwrap();
        let pool = world.store().pool_current(&team, world.now()).await.unwrap();
        assert_eq!((pool.lanes, pool.balance.credits.get()), (Credits::ZERO, 3_390));
        assert_eq!(pool.balance.free().get(), 390);
    });
}

#[test]
fn the_schedule_finds_abandoned_lanes() {
    without_faults(async |world| {
        let (_, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let store = world.store();
        let mut due = Vec::new();
        for shard in keys::SHARDS {
            let page = store.due_list(shard, world.now().plus_seconds(6), None).await.unwrap();
            due.extend(page.teams.into_keys());
        }
        assert_eq!(due, [team]);
    });
}

#[test]
fn charges_use_the_credits_of_all_lanes() {
    without_faults(async |world| {
        let (_, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let other = world.store();
        let entries = (0..169).map(|n| charge(&team, &format!("{n}"), "phone_finder", "valid"));
        let results = other.charge(&team, entries.collect(), world.now()).await;
        let is_charged = |result: &EntryResult| matches!(result, EntryResult::Created(_));
        assert!(results.iter().all(is_charged), "169 times 20 is 3,380 of 3,390");
        let last = charge_one(&other, &team, "last", world.now()).await;
        assert!(is_charged(&last), "{last:?}");
    });
}

#[test]
fn a_hold_uses_the_credits_of_all_lanes() {
    without_faults(async |world| {
        let (store, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let now = world.now();
        let held = world
            .store()
            .hold_take(hold_entry(&team, 1, Size::Credits(3_390), 1, now), now)
            .await
            .unwrap();
        assert!(matches!(held, EntryResult::Created(_)), "{held:?}");
        let refused = charge_one(&store, &team, "c", world.now()).await;
        assert!(
            matches!(refused, EntryResult::Refused(Error::InsufficientCredits { balance, .. }) if balance.is_zero()),
            "{refused:?}"
        );
    });
}

#[test]
fn rejects_charges_to_a_lane_of_a_closed_account() {
    without_faults(async |world| {
        let (store, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let now = world.now();
        let closed =
            world.store().terms_change(&team, now, |pool| Ok(pool.close(None, now))).await.unwrap();
        assert_eq!((closed.terms.account, closed.lanes), (Account::Closed, Credits::ZERO));
        let refused = charge_one(&store, &team, "c", world.now()).await;
        assert!(matches!(refused, EntryResult::Refused(Error::AccountClosed)), "{refused:?}");
    });
}

/// Free credits expire with the cycle, also those in a lane.
#[test]
fn a_lane_ends_with_the_cycle() {
    let almost: Time = "2027-02-09T23:59:58Z".parse().unwrap();
    simulator::run(1, Faults::NONE, almost, async |world| {
        let (store, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        sleep(Duration::from_secs(2)).await;
        let began = Instant::now();
        let charged = charge_one(&store, &team, "c", world.now()).await;
        assert!(matches!(charged, EntryResult::Created(_)), "{charged:?}");
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        let view = store.projection_read(&team, world.now()).await.unwrap().pool;
        assert_eq!((view.balance.free().get(), view.balance.purchased().get()), (395, 3_000));
    })
    .unwrap();
}

/// Charges after an added seat spend its free credits first.
#[test]
fn a_lane_ends_with_an_added_seat() {
    without_faults(async |world| {
        let store = world.store();
        let team = Box::pin(team_with(&store, "t", 3_000)).await;
        let entries = (0..76).map(|n| charge(&team, &format!("{n}"), "email_finder", "risky"));
        store.charge(&team, entries.collect(), world.now()).await;
        let others = [world.store(), world.store()];
        join_all(
            ["a", "b"]
                .into_iter()
                .zip(&others)
                .map(|(key, store)| charge_one(store, &team, key, world.now())),
        )
        .await;
        let now = world.now();
        assert!(!store.pool_current(&team, now).await.unwrap().lanes.is_zero());
        let request = serde_json::from_str(r#"{"plan":"multichannel_expert","seats":2}"#).unwrap();
        store
            .terms_change(&team, now, |pool| pool.subscribe(&request, &catalogue(), now))
            .await
            .unwrap();
        for n in 0..4 {
            for store in &others {
                let key = format!("{n} {store:p}");
                charge_one(store, &team, &key, world.now()).await;
            }
        }
        let seen = store.projection_read(&team, world.now()).await.unwrap().pool.balance;
        assert_eq!((seen.free().get(), seen.purchased().get()), (370, 3_000));
    });
}

/// The owner of a lane need not write the pool after the change of another process.
#[test]
fn a_lane_is_open_again_after_a_change() {
    without_faults(async |world| {
        let (_, team) = Box::pin(team_with_a_lane(&world, 30_000)).await;
        let request = serde_json::from_str(r#"{"plan":"multichannel_expert","seats":2}"#).unwrap();
        let now = world.now();
        let store = world.store();
        let changed = store
            .terms_change(&team, now, |pool| pool.subscribe(&request, &catalogue(), now))
            .await;
        assert_eq!(changed.unwrap().terms.subscription.unwrap().seats, 2);
        assert!(has_lanes(&world, &team).await);
    });
}

/// A refusal for more credits than the pool and the lanes have leaves the lanes open.
#[test]
fn lanes_stay_open_after_a_refusal_beyond_all_credits() {
    without_faults(async |world| {
        let (_, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let before = world.store().pool_current(&team, world.now()).await.unwrap();
        let now = world.now();
        let held = world
            .store()
            .hold_take(hold_entry(&team, 1, Size::Credits(60_000), 1, now), now)
            .await
            .unwrap();
        let many = charge(&team, "many", "sms", "sent");
        let many = Entry { credits: -60_000, ..many };
        let charged = world.store().charge(&team, vec![many], now).await.pop().unwrap();
        for result in [held, charged] {
            let EntryResult::Refused(Error::InsufficientCredits { balance, .. }) = result else {
                panic!("{result:?}")
            };
            assert_eq!(balance.get(), 3_390, "including the credits in lanes");
        }
        let after = world.store().pool_current(&team, world.now()).await.unwrap();
        assert_eq!((after.balance, after.lanes), (before.balance, before.lanes));
    });
}

/// The balance of a repeated refusal does not include what the lane of this process has paid since the one before.
#[test]
fn a_refusal_after_a_charge_from_a_lane_states_the_balance_after_it() {
    without_faults(async |world| {
        let (store, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let mut balances = Vec::new();
        for n in 0..4 {
            let much = Entry { credits: -60_000, ..charge(&team, &format!("{n}"), "sms", "sent") };
            let refused = store.charge(&team, vec![much], world.now()).await.pop();
            let Some(EntryResult::Refused(Error::InsufficientCredits { balance, .. })) = refused
            else {
                panic!("{refused:?}")
            };
            balances.push(balance.get());
            charge_one(&store, &team, &format!("paid {n}"), world.now()).await;
        }
        assert_eq!(balances, [3_390, 3_385, 3_380, 3_375]);
    });
}

/// A balance that is read during charges includes all charges that were answered before the read
/// and none that began after it.
#[test]
fn reads_a_consistent_balance_during_charges() {
    const CREDITS: u64 = 20_400;
    without_faults(async |world| {
        let team = Box::pin(team_with(&world.store(), "t", CREDITS - 400)).await;
        let (begun, come_back) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (store, world, team) = (world.store(), world.clone(), team.clone());
                let (begun, come_back) = (Arc::clone(&begun), Arc::clone(&come_back));
                tokio::spawn(async move {
                    for n in 0..150 {
                        begun.fetch_add(5, Ordering::Relaxed);
                        let key = format!("{writer} {n}");
                        let result = charge_one(&store, &team, &key, world.now()).await;
                        assert!(matches!(result, EntryResult::Created(_)), "{result:?}");
                        come_back.fetch_add(5, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let (reader, mut with_lanes) = (world.store(), 0);
        while come_back.load(Ordering::Relaxed) < 6_000 {
            let most = CREDITS - come_back.load(Ordering::Relaxed);
            let balance = reader
                .projection_read(&team, world.now())
                .await
                .unwrap()
                .pool
                .balance
                .credits
                .get();
            let least = CREDITS - begun.load(Ordering::Relaxed);
            assert!((least..=most).contains(&balance), "{least} {balance} {most}");
            with_lanes += u32::from(has_lanes(&world, &team).await);
            sleep(Duration::from_millis(7)).await;
        }
        assert!(with_lanes > 20, "{with_lanes}");
        for writer in writers {
            writer.await.unwrap();
        }
    });
}
