//! Processes with different clocks take in billing messages concurrently and are stopped at random.
//! The newest message determines the state, in every order.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use shared::domain::ids::TeamId;
use shared::domain::pool::Pool;
use simulator::{Faults, World};
use tokio::time::sleep;

use crate::support::process::{SKEW_MS, process_with_skew, run_for_polls, seeds};
use crate::support::teams::now;

fn changed(version: u64, plan: &str, seats: u32) -> Vec<u8> {
    let detail = json!({ "team": "t", "version": version, "plan": plan, "seats": seats });
    json!({ "detail-type": "subscription.changed", "detail": detail }).to_string().into_bytes()
}

fn cancelled(version: u64) -> Vec<u8> {
    let detail = json!({ "team": "t", "version": version });
    json!({ "detail-type": "subscription.cancelled", "detail": detail }).to_string().into_bytes()
}

/// Delivers a message until it is taken in. Each attempt runs in a new process; the first may be
/// stopped.
async fn deliver(world: &World, message: &[u8], skews: [i64; 2], polls: u32) {
    let first = process_with_skew(world, skews[0]);
    if run_for_polls(polls, Box::pin(team::apply_message(&first, message)))
        .await
        .is_some_and(|it| it.is_ok())
    {
        return;
    }
    for _ in 0..20 {
        let next = process_with_skew(world, skews[1]);
        if Box::pin(team::apply_message(&next, message)).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the message was not taken in");
}

async fn stored(world: &World) -> Pool {
    let team: TeamId = "t".parse().unwrap();
    world.store().pool_current(&team, world.now()).await.unwrap()
}

/// The process that changes the plan is stopped between its two writes, and the clock of the
/// process that cancels is late. The new subscription is cancelled, not the old one.
#[test]
fn a_cancellation_after_an_interrupted_plan_change_cancels_the_new_plan() {
    let mut halves = 0;
    for polls in 1.. {
        let is_complete = simulator::run(3, Faults::NONE, now(), async |world| {
            let start = process_with_skew(&world, 0);
            Box::pin(team::apply_message(&start, &changed(4, "multichannel_expert", 1)))
                .await
                .unwrap();
            let dying = process_with_skew(&world, 0);
            let message = changed(5, "enterprise", 1);
            let change = Box::pin(team::apply_message(&dying, &message));
            let is_complete = run_for_polls(polls, change).await.is_some();
            let late = process_with_skew(&world, -200);
            Box::pin(team::apply_message(&late, &cancelled(6))).await.unwrap();
            Box::pin(team::apply_message(&late, &message)).await.unwrap();
            let subscription = stored(&world).await.terms.subscription.unwrap();
            assert!(
                subscription.cancelled || subscription.plan == "enterprise",
                "{subscription:?}"
            );
            if subscription.plan == "enterprise" {
                halves += 1;
                assert!(subscription.cancelled, "after {polls} polls: {subscription:?}");
            }
            is_complete
        });
        if is_complete.unwrap() {
            assert!(halves > 3, "{halves}");
            break;
        }
    }
}

/// Three messages at once, in processes that are stopped at random and whose clocks differ by up to
/// a second.
#[test]
fn the_newest_messages_determine_the_state() {
    for seed in seeds(0..130) {
        let faults = if seed % 2 == 0 { Faults::NONE } else { Faults::MANY };
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let start = process_with_skew(&world, 0);
            Box::pin(team::apply_message(&start, &changed(1, "multichannel_expert", 1)))
                .await
                .unwrap();
            world.set_faults(faults);
            let messages =
                [changed(5, "enterprise", 1), cancelled(6), changed(4, "multichannel_expert", 3)];
            let deliveries = messages.iter().map(|message| {
                let skews = [random.i64(-SKEW_MS..=SKEW_MS), random.i64(-SKEW_MS..=SKEW_MS)];
                let polls = if random.bool() { random.u32(1..30) } else { u32::MAX };
                let wait = Duration::from_millis(random.u64(0..60));
                let world = &world;
                async move {
                    sleep(wait).await;
                    deliver(world, message, skews, polls).await;
                }
            });
            join_all(deliveries.map(Box::pin)).await;
            world.set_faults(Faults::NONE);
            // Each message is delivered once more.
            for message in &messages {
                deliver(&world, message, [-SKEW_MS, SKEW_MS], u32::MAX).await;
            }
            let pool = stored(&world).await;
            let subscription = pool.terms.subscription.clone().unwrap();
            assert_eq!(
                (subscription.plan.as_str(), subscription.cancelled, pool.balance.free().get()),
                ("enterprise", true, 400),
                "seed {seed}: {pool:?}"
            );
        })
        .unwrap();
    }
}

/// Two concurrent plan changes: the newer one determines the plan.
#[test]
fn the_newer_of_two_concurrent_plan_changes_wins() {
    for seed in seeds(0..100) {
        simulator::run(seed, Faults::MANY, now(), async |world| {
            let mut random = fastrand::Rng::with_seed(seed);
            let messages = [changed(5, "free_trial", 1), changed(6, "enterprise", 1)];
            let deliveries = messages.iter().map(|message| {
                let skews = [random.i64(-SKEW_MS..=SKEW_MS), random.i64(-SKEW_MS..=SKEW_MS)];
                let polls = if random.bool() { random.u32(1..30) } else { u32::MAX };
                Box::pin(deliver(&world, message, skews, polls))
            });
            join_all(deliveries.collect::<Vec<_>>()).await;
            world.set_faults(Faults::NONE);
            sleep(Duration::from_secs(1)).await;
            let pool = stored(&world).await;
            let plan =
                pool.terms.subscription.as_ref().map(|subscription| subscription.plan.as_str());
            assert_eq!((plan, pool.balance.free().get()), (Some("enterprise"), 400), "seed {seed}");
            assert_eq!(
                (pool.terms.next, pool.terms.billing_version),
                (None, Some(6)),
                "seed {seed}"
            );
        })
        .unwrap();
    }
}
