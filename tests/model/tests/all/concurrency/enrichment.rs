//! Enrichment is paused for all processes by a refusal that holds at the time of the write. Usage
//! is counted whether a pool, a lane or a hold pays.

use std::time::Duration;

use engine::prices;
use futures_util::future::{join, join_all};
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::Entry;
use shared::domain::pool::Pool;
use shared::domain::pool::usage::Usage;
use shared::domain::purchase::GiftRequest;
use shared::domain::{Credits, Error};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::Release;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::lanes::{charge_one, has_lanes, team_with_a_lane, without_faults};
use crate::support::teams::{capture, charge, key_named, now, team_with};

async fn one(store: &Store, charge: Entry, world: &World) -> EntryResult {
    let team = charge.team.clone();
    store.charge(&team, vec![charge], world.now()).await.pop().unwrap()
}

fn is_short(result: &EntryResult) -> bool {
    matches!(result, EntryResult::Refused(Error::InsufficientCredits { .. }))
}

fn is_paused(result: &EntryResult) -> bool {
    matches!(result, EntryResult::Refused(Error::EnrichmentPaused))
}

async fn pool(world: &World, team: &TeamId) -> Pool {
    world.store().pool_current(team, world.now()).await.unwrap()
}

fn gift(team: &TeamId, credits: u64) -> Entry {
    let gift = GiftRequest { credits: Credits::new(credits), reference: None };
    gift.entry(team, key_named("more"), "u".parse().unwrap(), now()).unwrap()
}

/// A refusal that includes the credits of lanes recalls the lanes.
#[test]
fn a_refusal_pauses_owners_of_lanes() {
    without_faults(async |world| {
        let (owner, team) = Box::pin(team_with_a_lane(&world, 3_000)).await;
        let many = charge(&team, "many", "phone_finder", "valid");
        let many = Entry { credits: -60_000, ..many };
        let refused = one(&world.store(), many, &world).await;
        assert!(is_short(&refused), "{refused:?}");
        assert!(is_paused(&charge_one(&owner, &team, "c", world.now()).await));
        let sms = one(&owner, charge(&team, "sms", "sms", "sent"), &world).await;
        assert!(matches!(sms, EntryResult::Created(_)), "{sms:?}");
        let pool = pool(&world, &team).await;
        assert_eq!((pool.lanes, pool.balance.credits.get()), (Credits::ZERO, 3_384));
    });
}

#[test]
fn no_lane_opens_while_enrichment_is_paused() {
    without_faults(async |world| {
        let team = Box::pin(team_with(&world.store(), "t", 20_000)).await;
        let many = charge(&team, "many", "phone_finder", "valid");
        one(&world.store(), Entry { credits: -60_000, ..many }, &world).await;
        let callers = (0..16).map(async |n| {
            let store = world.store();
            let sms = charge(&team, &format!("sms {n}"), "sms", "sent");
            let result = one(&store, sms, &world).await;
            (result, has_lanes(&world, &team).await)
        });
        for (result, has_lanes) in join_all(callers).await {
            assert!(matches!(result, EntryResult::Created(_)), "{result:?}");
            assert!(!has_lanes);
        }
        // Lanes open again after the restart.
        world.store().enrichment_restart(&team, prices(), world.now()).await.unwrap();
        let callers = (0..16)
            .map(async |n| charge_one(&world.store(), &team, &format!("{n}"), world.now()).await);
        join_all(callers).await;
        assert!(has_lanes(&world, &team).await);
    });
}

/// Gifts arrive at each of 60 offsets relative to a charge. The charge pauses enrichment only if
/// the gift does not cover it.
#[test]
fn a_gift_before_a_refusal_keeps_enrichment_running() {
    let (mut charged, mut refused) = (0, 0);
    for delay in 0..60 {
        simulator::run(1, Faults::NONE, now(), async |world| {
            let team = Box::pin(team_with(&world.store(), "t", 0)).await;
            let all = charge(&team, "all", "sms", "sent");
            one(&world.store(), Entry { credits: -400, ..all }, &world).await;
            let (teller, giver) = (world.store(), world.store());
            let phone = one(&teller, charge(&team, "phone", "phone_finder", "valid"), &world);
            let (result, ()) = join(phone, async {
                sleep(Duration::from_millis(delay)).await;
                giver.gift_add(gift(&team, 20)).await.unwrap();
            })
            .await;
            let pool = pool(&world, &team).await;
            assert_eq!(is_short(&result), pool.is_paused(), "{delay}: {result:?}");
            let is_charged = matches!(result, EntryResult::Created(_));
            assert!(is_charged || is_short(&result), "{delay}: {result:?}");
            let refused_credits = pool.refused.as_ref().map(|refused| refused.required);
            assert!(
                refused_credits.is_none_or(|required| required > pool.balance.credits),
                "{delay}"
            );
            *(if is_short(&result) { &mut refused } else { &mut charged }) += 1;
        })
        .unwrap();
    }
    assert!(charged > 10 && refused > 10, "{charged} charged, {refused} refused");
}

/// One of 24 processes is refused for missing credits; the others find enrichment paused. The pool
/// is paused once.
#[test]
fn concurrent_refusals_pause_once() {
    without_faults(async |world| {
        let team = Box::pin(team_with(&world.store(), "t", 0)).await;
        let clients = (0..24).map(async |n| {
            let store = world.store();
            let mut results = Vec::new();
            for m in 0..10 {
                let phone = charge(&team, &format!("{n}/{m}"), "phone_finder", "valid");
                results.push((one(&store, phone, &world).await, pool(&world, &team).await));
            }
            results
        });
        let results: Vec<_> = join_all(clients).await.into_iter().flatten().collect();
        let charged =
            results.iter().filter(|(result, _)| matches!(result, EntryResult::Created(_)));
        assert_eq!(charged.count(), 20);
        assert_eq!(results.iter().filter(|(result, _)| is_short(result)).count(), 1);
        let mut paused: Vec<_> = results.iter().filter_map(|(_, pool)| pool.paused_at).collect();
        paused.dedup();
        assert_eq!(paused.len(), 1, "{paused:?}");
    });
}

async fn held(store: &Store, team: &TeamId, world: &World) -> Id {
    let request: HoldRequest = serde_json::from_str(r#"{"credits":50,"expires_in":600}"#).unwrap();
    let (key, user) = (key_named("job"), "u".parse().unwrap());
    let entry = request.entry(team, key, user, world.now()).unwrap().sized(prices()).unwrap();
    let id = entry.hold().cloned().unwrap();
    store.hold_take(entry, world.now()).await.unwrap();
    id
}

/// A capture of 0 credits does not change the credits of its hold. It is counted or refused, at
/// every offset to the release.
#[test]
fn counts_captures_of_0_credits_before_a_release() {
    for delay in 0..40 {
        simulator::run(1, Faults::NONE, now(), async |world| {
            let store = world.store();
            let team = Box::pin(team_with(&store, "t", 0)).await;
            let id = Box::pin(held(&store, &team, &world)).await;
            let miss = charge(&team, "miss", "email_finder", "not_found");
            let miss = capture(miss, &id);
            let (result, ()) = join(one(&store, miss, &world), async {
                sleep(Duration::from_millis(delay)).await;
                let by = Release { key: key_named("end"), user: "u".parse().unwrap() };
                world.store().hold_release(&team, &id, &by, world.now()).await.unwrap();
            })
            .await;
            let counted = !pool(&world, &team).await.used.is_empty();
            assert_eq!(matches!(result, EntryResult::Created(_)), counted, "{delay}: {result:?}");
        })
        .unwrap();
    }
}

/// Charges to the pool, to lanes and to holds: the usage counters of the pool equal the sums of the
/// ledger.
#[test]
fn usage_counters_equal_the_ledger() {
    for seed in 0..8 {
        simulator::run(seed, Faults::MANY, now(), async |world| {
            let team = Box::pin(team_with(&world.store(), "t", 50_000)).await;
            let workers = (0..12).map(async |n| {
                let store = world.store();
                let hold = Box::pin(held(&store, &team, &world)).await;
                for m in 0..12 {
                    let (action, outcome) = [
                        ("email_finder", "risky"),
                        ("email_finder", "not_found"),
                        ("sms", "sent"),
                        ("call", "answered"),
                    ][m % 4];
                    let entry = charge(&team, &format!("{n}/{m}"), action, outcome);
                    let captured = capture(entry.clone(), &hold);
                    one(&store, if m % 5 == 0 { captured } else { entry }, &world).await;
                }
            });
            join_all(workers).await;
            world.set_faults(Faults::NONE);
            // All lanes and holds have expired by then.
            sleep(Duration::from_secs(700)).await;
            world.store().team_upkeep(&team, world.now()).await.unwrap();
            let pool = pool(&world, &team).await;
            assert_eq!((pool.lanes, pool.held), (Credits::ZERO, Credits::ZERO));
            let all = Selection::default();
            let ledger =
                world.store().history_list(&team, &all, None, 10_000).await.unwrap().entries;
            // A stored charge has no metering until it is priced again.
            let ledger: Vec<Entry> =
                ledger.into_iter().map(|entry| entry.priced(prices()).unwrap()).collect();
            assert_eq!(pool.used, Usage::of(&ledger).unwrap());
            let spent = pool.weeks.last_seven_days(world.now()).unwrap();
            assert_eq!(Ok(spent), pool.used.spent());
        })
        .unwrap();
    }
}
