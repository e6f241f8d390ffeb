//! Teams with lanes.

use futures_util::future::join_all;
use shared::domain::ids::TeamId;
use shared::domain::time::Time;
use shared::store::entry::EntryResult;
use shared::store::{Store, keys};
use simulator::{Faults, World};

use super::teams::{charge, now, team_with};

/// Reads the item without ending a due cycle.
pub async fn has_lanes(world: &World, team: &TeamId) -> bool {
    let pool = world.client().get_item().table_name(engine::TABLE).set_key(Some(keys::pool(team)));
    let pool = pool.send().await.unwrap().item;
    pool.is_some_and(|pool| pool["lanes"] != keys::number(0))
}

pub fn without_faults<T>(run: impl AsyncFnOnce(World) -> T) -> T {
    simulator::run(1, Faults::NONE, now(), run).unwrap()
}

pub async fn charge_one(store: &Store, team: &TeamId, key: &str, now: Time) -> EntryResult {
    let entry = charge(team, key, "email_finder", "risky");
    store.charge(team, vec![entry], now).await.pop().unwrap()
}

/// Returns a process with a lane, and its team, which has 400 free and `purchased` purchased credits.
pub async fn team_with_a_lane(world: &World, purchased: u64) -> (Store, TeamId) {
    let store = world.store();
    let team = team_with(&store, "t", purchased).await;
    // Two concurrent charges are in conflict.
    let other = world.store();
    let pushed = [(&store, "a"), (&other, "b")];
    join_all(pushed.map(|(store, key)| charge_one(store, &team, key, world.now()))).await;
    let pool = world.store().pool_current(&team, world.now()).await.unwrap();
    assert!(!pool.lanes.is_zero(), "{pool:?}");
    let seen = store.projection_read(&team, world.now()).await.unwrap().pool.balance;
    assert_eq!(
        (seen.credits.get(), seen.free().get()),
        (390 + purchased, 390),
        "the balance includes the lane"
    );
    (store, team)
}
