//! Many clients on the same pools at once, each with its own connection.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::Engine;
use futures_util::future::join_all;
use shared::domain::hold::HoldRequest;
use shared::domain::ids::{Id, TeamId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::pool::usage::Usage;
use shared::domain::purchase::GiftRequest;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::Release;
use simulator::Faults;

use crate::support::operations::Size;
use crate::support::teams::{
    all_entries, capture, charge, charges_of_40_actions, hold_entry, hold_id, key_named, now,
    team_with,
};

/// 64 clients, three teams, single charges and batches. Two clients send each key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_charges_equal_the_spent_balance() {
    const CLIENTS: usize = 64;
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let mut teams = Vec::new();
    for (name, purchased) in [("a", 100), ("b", 1_000), ("c", 3)] {
        teams.push((team_with(&store, name, purchased).await, 400 + purchased));
    }
    let running = Arc::new(AtomicBool::new(true));
    let watcher = tokio::spawn(watch(engine.store(), teams.clone(), Arc::clone(&running)));
    let clients = (0..CLIENTS as u64)
        .map(|client| tokio::spawn(charge_as_client(engine.store(), teams.clone(), client)));
    let answers: Vec<(Entry, EntryResult)> =
        join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    running.store(false, Ordering::Relaxed);
    watcher.await.unwrap();

    for (team, budget) in teams {
        let answers = answers.iter().filter(|(request, _)| request.team == team);
        check_answers(&store, &team, budget, answers).await;
    }
}

/// Sends four rounds of charges to each team. Clients 2n and 2n + 1 share a seed, so each key is in
/// flight twice with the same request.
async fn charge_as_client(
    store: Store,
    teams: Vec<(TeamId, u64)>,
    client: u64,
) -> Vec<(Entry, EntryResult)> {
    const WORK: [(&str, &str); 4] = [
        ("email_finder", "risky"),
        ("phone_finder", "valid"),
        ("linkedin_enrichment", "found"),
        ("email_finder", "not_found"),
    ];
    let mut random = fastrand::Rng::with_seed(client / 2);
    let mut answers = Vec::new();
    for round in 0..4 {
        for (team, _) in &teams {
            let size = if random.bool() { 1 } else { random.usize(2..8) };
            let charges = (0..size).map(|n| {
                let (action, outcome) = random.choice(WORK).unwrap();
                charge(team, &format!("{}-{round}-{n}", client / 2), action, outcome)
            });
            let charges: Vec<Entry> = charges.collect();
            let results = store.charge(team, charges.clone(), now()).await;
            answers.extend(charges.into_iter().zip(results));
        }
    }
    answers
}

async fn check_answers(
    store: &Store,
    team: &TeamId,
    budget: u64,
    answers: impl Iterator<Item = &(Entry, EntryResult)>,
) {
    let mut charged: HashMap<String, u64> = HashMap::new();
    let mut cheapest_refused = u64::MAX;
    for (request, result) in answers {
        match result {
            EntryResult::Created(entry) => {
                let twice = charged.insert(entry.source(), entry.credits.unsigned_abs());
                assert_eq!(twice, None, "{} was charged twice", entry.source());
            }
            EntryResult::Replayed(entry) => assert!(entry.answers(request)),
            EntryResult::Refused(Error::InsufficientCredits { balance, required }) => {
                assert!(balance < required);
                cheapest_refused = cheapest_refused.min(required.get());
            }
            // The first refusal pauses enrichment for all clients.
            EntryResult::Refused(Error::EnrichmentPaused) => {}
            EntryResult::Refused(error) => panic!("{error:?}"),
        }
    }
    let spent: u64 = charged.values().sum();
    let left = store.pool_current(team, now()).await.unwrap().balance;
    assert_eq!(spent + left.credits.get(), budget, "team {team}");
    assert!(
        left.credits.get() < cheapest_refused,
        "a charge of {cheapest_refused} was refused and {} credits are left",
        left.credits
    );
    let purchased = (budget - 400).min(left.credits.get());
    assert_eq!(left.purchased().get(), purchased, "free credits are spent first");
    let history = all_entries(store, team).await;
    let sum: i64 = history.iter().map(|entry| entry.credits).sum();
    assert_eq!(sum, left.credits.gained(), "the entries add up to the balance");
    let entries = history.iter().filter(|entry| entry.kind() == Kind::Charge).count();
    assert_eq!(entries, charged.len(), "one entry for each charge");
}

async fn watch(store: Store, teams: Vec<(TeamId, u64)>, running: Arc<AtomicBool>) {
    while running.load(Ordering::Relaxed) {
        for (team, budget) in &teams {
            // A negative number would fail to parse.
            let pool = store.pool_current(team, now()).await.unwrap();
            assert!(pool.balance.credits.get() <= *budget);
        }
    }
}

/// Clients in two cycles charge while others add gifts. The ledger adds up to the balance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gifts_and_resets_during_charges_add_up() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let next_cycle: Time = "2027-02-10T00:00:00Z".parse().unwrap();
    let clients = (0..24_u32).map(|client| {
        let store = engine.store();
        let team = team.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                // Half of the clients run in the next cycle.
                let at = if client % 2 == 0 { now() } else { next_cycle };
                let key = format!("{client}-{round}");
                if client % 6 == 0 {
                    let gift = GiftRequest { credits: Credits::new(7), reference: None };
                    let gift =
                        gift.entry(&team, key_named(&key), "u".parse().unwrap(), at).unwrap();
                    assert!(matches!(store.gift_add(gift).await.unwrap(), EntryResult::Created(_)));
                } else {
                    let entry = Entry { at, ..charge(&team, &key, "linkedin_enrichment", "found") };
                    let results = store.charge(&team, vec![entry], at).await;
                    let is_answered = matches!(
                        results[..],
                        [EntryResult::Created(_)
                            | EntryResult::Refused(Error::InsufficientCredits { .. })]
                    );
                    assert!(is_answered, "{results:?}");
                }
            }
        })
    });
    join_all(clients).await.into_iter().for_each(Result::unwrap);
    let pool = store.pool_current(&team, next_cycle).await.unwrap();
    let history = all_entries(&store, &team).await;
    let of = |kind: Kind| {
        history
            .iter()
            .filter(|entry| entry.kind() == kind)
            .map(|entry| entry.credits)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(Kind::Grant), [400, 400], "one grant for each cycle");
    assert_eq!(of(Kind::Gift).iter().sum::<i64>(), 4 * 20 * 7);
    assert!(of(Kind::Expiry).len() <= 1);
    let sum: i64 = history.iter().map(|entry| entry.credits).sum();
    assert_eq!(sum, pool.balance.credits.gained());
}

/// 1,000 concurrent charges of 20 credits against a balance of 1,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_fifty_of_a_thousand_charges_on_a_balance_for_fifty() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 600).await;
    let charges = (0..1_000).map(|n| {
        let store = store.clone();
        let team = team.clone();
        tokio::spawn(async move {
            let entry = charge(&team, &n.to_string(), "phone_finder", "valid");
            store.charge(&team, vec![entry], now()).await.pop().unwrap()
        })
    });
    let mut accepted = 0;
    for result in join_all(charges).await {
        match result.unwrap() {
            // A replay occurs if an answer was lost and the charge was sent again.
            EntryResult::Created(_) | EntryResult::Replayed(_) => accepted += 1,
            EntryResult::Refused(Error::InsufficientCredits { .. } | Error::EnrichmentPaused) => {}
            EntryResult::Refused(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(accepted, 50);
    let charges = Selection { kind: Some(Kind::Charge), ..Selection::default() };
    assert_eq!(store.history_list(&team, &charges, None, 100).await.unwrap().entries.len(), 50);
    assert_eq!(store.pool_current(&team, now()).await.unwrap().balance.credits, Credits::ZERO);
}

/// Concurrent charges that need the credits of an expired hold are all accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_of_an_expired_hold_cover_concurrent_charges() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    for round in 0..7 {
        let team = team_with(&store, &format!("t{round}"), 0).await;
        take_hold(&store, &team).await;
        let later = now().plus_seconds(60);
        let callers = (0..20).map(|n| {
            let (store, team) = (engine.store(), team.clone());
            tokio::spawn(async move {
                let entry = charge(&team, &n.to_string(), "phone_finder", "valid");
                store.charge(&team, vec![Entry { at: later, ..entry }], later).await
            })
        });
        for results in join_all(callers).await {
            let results = results.unwrap();
            assert!(matches!(results[..], [EntryResult::Created(_)]), "round {round}: {results:?}");
        }
    }
}

/// A refusal is cached, but not beyond the expiry of a hold whose credits cover the charge.
#[tokio::test]
async fn a_cached_refusal_ends_with_the_next_expiry_of_a_hold() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    take_hold(&store, &team).await;
    let results = async |key: &str, at: Time| {
        let entry = Entry { at, ..charge(&team, key, "phone_finder", "valid") };
        store.charge(&team, vec![entry], at).await.pop().unwrap()
    };
    let before = now().plus_milliseconds(59_900);
    for key in ["1", "2", "3"] {
        let refused = results(key, before).await;
        assert!(matches!(refused, EntryResult::Refused(_)), "{refused:?}");
    }
    let sms = Entry { at: before, ..charge(&team, "4", "sms", "sent") };
    for _ in 0..2 {
        let refused = store.charge(&team, vec![sms.clone()], before).await;
        assert!(matches!(refused[..], [EntryResult::Refused(_)]), "{refused:?}");
    }
    let later = now().plus_seconds(60);
    let charged = store.charge(&team, vec![Entry { at: later, ..sms }], later).await;
    assert!(matches!(charged[..], [EntryResult::Created(_)]), "{charged:?}");
}

/// Concurrent releases with different keys return the credits of a hold once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_releases_return_a_hold_once() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    for round in 0..7 {
        let team = team_with(&store, &format!("t{round}"), 0).await;
        let hold = take_hold(&store, &team).await;
        let callers = (0..20).map(|n| {
            let (store, team, hold) = (engine.store(), team.clone(), hold.clone());
            tokio::spawn(async move {
                let by = Release { key: key_named(&n.to_string()), user: "u".parse().unwrap() };
                store.hold_release(&team, &hold, &by, now()).await
            })
        });
        let mut released = 0;
        for answer in join_all(callers).await {
            match answer.unwrap() {
                Ok(answer) => released += u32::from(!answer.is_replay),
                Err(error) => assert!(matches!(error, Error::HoldClosed(_)), "{error:?}"),
            }
        }
        let pool = store.pool_current(&team, now()).await.unwrap();
        assert_eq!((released, pool.balance.credits.get()), (1, 400), "round {round}");
    }
}

/// Captures of more actions than a hold counts, by several processes. Each is counted once.
#[test]
fn a_hold_captures_any_number_of_actions_concurrently() {
    for seed in 0..4 {
        simulator::run(seed, Faults::MANY, now(), async |world| {
            let store = world.store();
            let team = team_with(&store, "t", 100_000).await;
            let entry = hold_entry(&team, 1, Size::Credits(50_000), 1, now());
            store.hold_take(entry, now()).await.unwrap();
            let hold = hold_id(&team, 1);
            let captures: Vec<Entry> = (0..3)
                .flat_map(|number| charges_of_40_actions(&team, &number.to_string()))
                .map(|charge| capture(charge, &hold))
                .collect();
            let running = Cell::new(8);
            let processes = captures.chunks(15).map(async |captures| {
                let store = world.store();
                for entry in captures {
                    while !is_charged(&store.charge(&team, vec![entry.clone()], now()).await) {}
                }
                running.set(running.get() - 1);
            });
            // Every answer contains each capture once, as a used credit and not as a held one.
            let reader = async {
                let store = world.store();
                while running.get() > 0 {
                    let Ok(view) = store.projection_read(&team, now()).await else { continue };
                    let used = view.with_open_holds_counted(now()).unwrap().used.spent().unwrap();
                    let left = view.pool.balance.credits.get() + view.held().unwrap().get();
                    assert_eq!(left + used.get(), 100_400, "seed {seed}");
                }
            };
            tokio::join!(join_all(processes.map(Box::pin)), reader);
            let view = store.projection_read(&team, now()).await.unwrap();
            let counted = view.with_open_holds_counted(now()).unwrap();
            assert_eq!(counted.used, Usage::of(&captures).unwrap(), "seed {seed}");
            assert_eq!(Ok(view.holds[0].captured), counted.used.spent(), "seed {seed}");
            assert_eq!(counted.weeks.last_seven_days(now()), counted.used.spent());
            let counters = serde_json::to_value(&view.holds[0].used).unwrap();
            assert!(counters.as_object().unwrap().len() <= 12, "{counters}");
        })
        .unwrap();
    }
}

/// Whether a charge was made, now or before. Otherwise it is attempted again.
fn is_charged(results: &[EntryResult]) -> bool {
    match results {
        [EntryResult::Created(_) | EntryResult::Replayed(_)] => true,
        [EntryResult::Refused(Error::Busy)] => false,
        other => panic!("{other:?}"),
    }
}

/// Takes a hold of 395 credits that expires after a minute.
async fn take_hold(store: &Store, team: &TeamId) -> Id {
    let request: HoldRequest = serde_json::from_str(r#"{"credits":395,"expires_in":60}"#).unwrap();
    let (key, user) = (key_named("job"), "u".parse().unwrap());
    let entry = request.entry(team, key, user, now()).unwrap();
    let hold = entry.hold().unwrap().clone();
    store.hold_take(entry, now()).await.unwrap();
    hold
}
