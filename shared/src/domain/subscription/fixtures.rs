//! Pools and requests for the tests of this module.

use crate::domain::Credits;
use crate::domain::catalogue::fixtures::catalogue;
use crate::domain::pool::Pool;
use crate::domain::pool::balance::BalanceChange;
use crate::domain::subscription::SubscriptionRequest;
use crate::domain::subscription::terms::Change;
use crate::domain::time::Time;

pub(super) fn at(text: &str) -> Time {
    text.parse().unwrap()
}

pub(super) fn request(body: &str) -> SubscriptionRequest {
    serde_json::from_str(body).unwrap()
}

pub(super) fn new_pool() -> Pool {
    Pool::open("t".parse().unwrap())
}

/// A pool with a subscription to `multichannel_expert`.
pub(super) fn expert(seats: u32, now: &str) -> Pool {
    let mut pool = new_pool();
    subscribe(&mut pool, &format!(r#"{{"plan":"multichannel_expert","seats":{seats}}}"#), now);
    pool
}

/// Applies the change of a request, if there is one, and begins the next subscription.
pub(super) fn subscribe(pool: &mut Pool, body: &str, now: &str) {
    if let Some(change) = pool.subscribe(&request(body), &catalogue(), at(now)).unwrap() {
        apply_with_next(pool, &change, now);
    }
}

pub(super) fn cancel(pool: &mut Pool, version: Option<u64>, now: &str) {
    let change = pool.cancel(version, at(now)).unwrap().unwrap();
    pool.apply(&change).unwrap();
}

/// Applies a change and begins its next subscription, if there is one.
pub(super) fn apply_with_next(pool: &mut Pool, change: &Change, now: &str) {
    pool.apply(change).unwrap();
    if change.terms.next.is_some() {
        apply_due(pool, now);
    }
}

pub(super) fn apply_due(pool: &mut Pool, now: &str) {
    let change = pool.due_change(at(now)).unwrap().unwrap();
    pool.apply(&change).unwrap();
}

pub(super) fn spend(pool: &mut Pool, credits: u64) {
    pool.balance = pool.balance.after(BalanceChange::Charge(Credits::new(credits))).unwrap();
}

pub(super) fn purchase(pool: &mut Pool, credits: u64) {
    pool.balance = pool.balance.after(BalanceChange::Purchase(Credits::new(credits))).unwrap();
}

/// The free and the purchased credits.
pub(super) fn split(pool: &Pool) -> (u64, u64) {
    (pool.balance.free().get(), pool.balance.purchased().get())
}
