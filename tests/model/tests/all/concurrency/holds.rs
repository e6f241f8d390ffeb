//! Holds that are taken while expired ones are returned.

use engine::prices;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use shared::store::Store;
use simulator::Faults;

use crate::support::process::run_for_polls;
use crate::support::teams::{key, now, team_with};

/// Takes a hold of 63 credits for one second.
async fn take(store: &Store, team: &TeamId, number: u16, at: Time) {
    let request = serde_json::from_str(r#"{"credits":63,"expires_in":1}"#);
    let request: HoldRequest = request.unwrap();
    let entry = request.entry(team, key(number), "u".parse().unwrap(), at).unwrap();
    store.hold_take(entry.sized(prices()).unwrap(), at).await.unwrap();
}

/// A process that reads the pool before another one takes a hold, and the holds after it, returns both. The pool counts
/// both as returned.
#[test]
fn a_hold_is_taken_while_expired_ones_are_returned() {
    let mut both = 0;
    for polls in 1.. {
        let is_complete = simulator::run(1, Faults::NONE, now(), async |world| {
            let (one, other) = (world.store(), world.store());
            let team = Box::pin(team_with(&one, "t", 0)).await;
            take(&one, &team, 1, world.now()).await;
            let later = world.now().plus_seconds(10);
            let mut upkeep = Box::pin(one.team_upkeep(&team, later));
            let done = run_for_polls(polls, upkeep.as_mut()).await;
            take(&other, &team, 2, world.now()).await;
            let is_complete = done.is_some();
            let done = match done {
                Some(done) => done,
                None => upkeep.await,
            };
            both += u64::from(done.unwrap().expired == 2);
            other.team_upkeep(&team, later).await.unwrap();
            let pool = other.pool_current(&team, later).await.unwrap();
            let counts = (pool.held.get(), pool.open_holds, pool.hold_sum);
            assert_eq!(counts, (0, 0, 0), "after {polls} polls");
            assert_eq!(pool.balance.free().get(), 400);
            is_complete
        });
        if is_complete.unwrap() {
            break;
        }
    }
    assert!(both > 0, "no run returned both holds");
}
