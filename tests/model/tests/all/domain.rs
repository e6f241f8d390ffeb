//! The pure domain against the reference: no store, so that many lives fit into a second.

use std::collections::HashMap;

use proptest::prelude::*;
use shared::domain::catalogue::PRICE_LISTS;
use shared::domain::charge::ChargeRequest;
use shared::domain::entry::{Entry, Kind};
use shared::domain::pool::{Effect, Pool};
use shared::domain::purchase::{GiftRequest, Purchase};
use shared::domain::subscription::{Change, SubscriptionRequest};
use shared::domain::time::Time;
use shared::domain::{Credits, Error};

use crate::operation::{Came, Charge, Operation, Sight, key, life, runner};
use crate::reference::Reference;

/// A team as the domain has it, with a map for a table.
struct Team {
    pool: Pool,
    exists: bool,
    entries: HashMap<String, Entry>,
}

pub fn request(charge: &Charge) -> ChargeRequest {
    ChargeRequest {
        team: None,
        key: None,
        action: charge.action.to_owned(),
        quantity: charge.quantity.into(),
        outcome: Some(charge.outcome.to_owned()),
        user: None,
        reference: None,
        own_key: false,
        hold: None,
    }
}

pub fn priced(charge: &Charge, pool: &Pool, now: Time) -> Entry {
    request(charge).price(&pool.team, key(charge.key), None, &PRICE_LISTS[0], now).unwrap()
}

pub fn subscription(plan: &str, seats: u8, restart: bool, now: Time) -> SubscriptionRequest {
    let started_at = if restart { format!(r#","started_at":"{now}""#) } else { String::new() };
    serde_json::from_str(&format!(r#"{{"plan":"{plan}","seats":{seats}{started_at}}}"#)).unwrap()
}

impl Team {
    fn new() -> Self {
        Self { pool: Pool::open("t".parse().unwrap()), exists: false, entries: HashMap::new() }
    }

    fn apply(&mut self, operation: &Operation, now: Time) -> Vec<Came> {
        match operation {
            Operation::Charge(charges) => charges
                .iter()
                .map(|charge| {
                    let entry = priced(charge, &self.pool, now);
                    let cost = Credits::new(entry.credits.unsigned_abs());
                    self.post(&entry, Effect::Charge(cost), now)
                })
                .collect(),
            Operation::Purchase { key: number, credits } => {
                let credits = Credits::new((*credits).into());
                if !self.exists || self.pool.check_open().is_err() {
                    return vec![if self.exists { Came::Closed } else { Came::NoTeam }];
                }
                self.turn(now);
                let purchase = Purchase::new(
                    &self.pool.team,
                    key(*number),
                    "u".parse().unwrap(),
                    credits,
                    now,
                );
                vec![self.post(&purchase.entry(now), Effect::Purchase(credits), now)]
            }
            Operation::Gift { key: number, credits } => {
                let credits = Credits::new((*credits).into());
                let gift = GiftRequest { credits, reference: None };
                let entry =
                    gift.entry(&self.pool.team, key(*number), "u".parse().unwrap(), now).unwrap();
                vec![self.post(&entry, Effect::Purchase(credits), now)]
            }
            Operation::Subscribe { plan, seats, restart } => {
                self.turn(now);
                if let Ok(Some(change)) =
                    self.pool.subscribe(&subscription(plan, *seats, *restart, now), now)
                {
                    self.change(change);
                }
                self.exists = true;
                Vec::new()
            }
            Operation::Cancel => {
                self.turn(now);
                if let Ok(Some(change)) = self.pool.cancel(now) {
                    self.change(change);
                }
                Vec::new()
            }
            Operation::Close => {
                self.turn(now);
                if let (true, Some(change)) = (self.exists, self.pool.close(now)) {
                    self.change(change);
                }
                Vec::new()
            }
            Operation::Wait(_) => Vec::new(),
            Operation::Refill => {
                self.turn(now);
                Vec::new()
            }
        }
    }

    fn post(&mut self, entry: &Entry, effect: Effect, now: Time) -> Came {
        if let Some(first) = self.entries.get(&entry.source()) {
            return if first.answers(entry) {
                Came::Replayed(first.credits.unsigned_abs())
            } else {
                Came::KeyReused
            };
        }
        if !self.exists {
            return Came::NoTeam;
        }
        if matches!(self.pool.check_open(), Err(Error::AccountClosed)) {
            return Came::Closed;
        }
        // A gift adds the same before and after a reset, so it leaves a cycle that is over alone.
        if entry.kind != Kind::Gift {
            self.turn(now);
        }
        let required = entry.credits.unsigned_abs();
        match self.pool.balance.after(effect) {
            Some(after) => {
                self.pool.balance = after;
                self.entries.insert(entry.source(), entry.clone());
                Came::Done(required)
            }
            None => Came::Short { balance: self.pool.balance.credits.get(), required },
        }
    }

    fn turn(&mut self, now: Time) {
        if let Some(change) = self.pool.turn(now) {
            self.change(change);
        }
    }

    fn change(&mut self, change: Change) {
        self.pool.balance = self.pool.balance.after(change.effect).unwrap();
        self.pool.terms = change.terms;
        self.pool.epoch += 1;
        for entry in change.entries {
            assert!(
                self.entries.insert(entry.source(), entry).is_none(),
                "an entry is written once"
            );
        }
    }

    fn see(&mut self, now: Time) -> Sight {
        self.turn(now);
        see(&self.pool, self.entries.values())
    }
}

/// What can be seen of a pool and its ledger. The ledger must add up to the balance.
pub fn see<'a>(pool: &Pool, entries: impl Iterator<Item = &'a Entry>) -> Sight {
    let mut ledger: Vec<(String, i64)> =
        entries.map(|entry| (entry.kind.as_str().to_owned(), entry.credits)).collect();
    ledger.sort();
    let sum: i64 = ledger.iter().map(|(_, credits)| credits).sum();
    assert_eq!(sum, pool.balance.credits.gained(), "the ledger adds up to the balance");
    Sight {
        free: pool.balance.free().get(),
        purchased: pool.balance.purchased().get(),
        plan: pool
            .terms
            .subscription
            .as_ref()
            .map(|subscription| subscription.plan.name.to_owned()),
        cycle_end: pool.terms.cycle.map(|cycle| cycle.end.to_string()),
        closed: pool.check_open().is_err(),
        ledger,
    }
}

/// Where all lives begin: two days before the end of a January, so that month ends matter.
pub const BEGIN: (i64, i64, i64) = (2027, 1, 29);

#[test]
fn the_domain_agrees_with_the_reference() {
    let tested = runner(64).run(&life(), |life| {
        let mut reference = Reference::new(BEGIN);
        let mut team = Team::new();
        for operation in &life {
            let expected = reference.apply(operation);
            let now: Time = format!("{}T00:00:00Z", reference.today()).parse().unwrap();
            prop_assert_eq!(team.apply(operation, now), expected, "{:?}", operation);
            prop_assert_eq!(team.see(now), reference.see(), "after {:?}", operation);
        }
        Ok(())
    });
    tested.unwrap();
}
