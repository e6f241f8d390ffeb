//! Concurrent charges in one process share writes, and each caller gets its own answer.

use std::time::Duration;

use engine::{Engine, Meter};
use futures_util::FutureExt;
use futures_util::future::join_all;
use shared::domain::Error;
use shared::domain::ledger::entry::Kind;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::retry::with_deadline;
use simulator::Faults;
use tokio::time::{Instant, sleep};

use crate::support::teams::{charge, now, team_with};

#[tokio::test]
async fn concurrent_charges_share_writes() {
    let engine = Engine::in_memory().await.unwrap();
    let meter = Meter::default();
    let store = engine.store_with(&meter);
    let team = team_with(&store, "t", 0).await;
    let _ = meter.take();
    let callers = (0..64).map(|n| {
        let (action, outcome) = [
            ("email_finder", "risky"),
            ("email_finder", "not_found"),
            ("linkedin_enrichment", "found"),
            ("phone_finder", "valid"),
        ][n % 4];
        let entry = charge(&team, &n.to_string(), action, outcome);
        let store = store.clone();
        async move { (entry.clone(), store.charge(&entry.team.clone(), vec![entry], now()).await) }
    });
    let mut spent = 0;
    for (request, results) in join_all(callers).await {
        // 16 charges of each kind: 80 + 0 + 16 + 320 credits against a balance of 400.
        match &results[..] {
            [EntryResult::Created(entry)] => {
                assert_eq!(*entry, request, "the answer belongs to the caller");
                spent += entry.amount().get();
            }
            [EntryResult::Refused(Error::InsufficientCredits { required, .. })] => {
                assert_eq!(*required, request.amount());
            }
            other => panic!("{other:?}"),
        }
    }
    // The first charge alone; then the others: one attempt, and one without the refused charges.
    assert_eq!(meter.take().writes, 3);
    assert_eq!(store.pool_current(&team, now()).await.unwrap().balance.credits.get(), 400 - spent);
    assert!(spent > 380, "{spent}");
}

/// Twenty callers with the same key: one charge, 19 replays.
#[tokio::test]
async fn charges_a_key_of_concurrent_callers_once() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let entry = charge(&team, "same", "phone_finder", "valid");
    let callers = (0..20).map(|_| store.charge(&team, vec![entry.clone()], now()));
    let results: Vec<EntryResult> = join_all(callers).await.into_iter().flatten().collect();
    let charged = results.iter().filter(|result| matches!(result, EntryResult::Created(_))).count();
    let replayed =
        results.iter().filter(|result| matches!(result, EntryResult::Replayed(_))).count();
    assert_eq!((charged, replayed), (1, 19));
    assert_eq!(store.pool_current(&team, now()).await.unwrap().balance.credits.get(), 380);
}

/// A caller that writes for others may be cancelled at any await. The others are still answered.
#[tokio::test]
async fn answers_all_callers_if_the_writing_caller_is_cancelled() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    let call = |key: String| {
        let (store, entry) = (store.clone(), charge(&team, &key, "linkedin_enrichment", "found"));
        async move { store.charge(&entry.team.clone(), vec![entry], now()).await }.boxed()
    };
    for round in 0..20 {
        let mut first = call(format!("{round} first"));
        assert!(first.as_mut().now_or_never().is_none());
        let others: Vec<_> = (0..10).map(|n| tokio::spawn(call(format!("{round} {n}")))).collect();
        // The first call is polled a few times and then dropped.
        for _ in 0..round {
            tokio::task::yield_now().await;
            if first.as_mut().now_or_never().is_some() {
                break;
            }
        }
        drop(first);
        for other in others {
            let results = other.await.unwrap();
            let is_charged =
                matches!(results[..], [EntryResult::Created(_) | EntryResult::Replayed(_)]);
            assert!(is_charged, "{results:?}");
        }
    }
    let charges = Selection { kind: Some(Kind::Charge), ..Selection::default() };
    let entries = store.history_list(&team, &charges, None, 500).await.unwrap().entries.len();
    assert!((200..=220).contains(&entries), "{entries}");
    let left = store.pool_current(&team, now()).await.unwrap().balance.credits.get();
    assert_eq!(left + entries as u64, 400);
}

/// A caller that writes for others may have an earlier or a later deadline than theirs.
#[test]
fn each_caller_keeps_its_own_deadline() {
    for hurried_is_first in [true, false] {
        simulator::run(1, Faults::NONE, now(), async |world| {
            let store = world.store();
            let team = Box::pin(team_with(&store, "t", 0)).await;
            world.set_faults(Faults { in_conflict: 1_000, ..Faults::NONE });
            let call = async |key: &str, time| {
                let entry = charge(&team, key, "linkedin_enrichment", "found");
                let began = Instant::now();
                let result =
                    with_deadline(Some(time), store.charge(&team, vec![entry], now())).await.pop();
                (result.unwrap(), began.elapsed())
            };
            let times = [Duration::from_millis(300), Duration::from_secs(4)];
            let (first, second) =
                if hurried_is_first { (times[0], times[1]) } else { (times[1], times[0]) };
            let end_of_faults = async {
                sleep(Duration::from_secs(1)).await;
                world.set_faults(Faults::NONE);
            };
            let (first, second, ()) = tokio::join!(
                Box::pin(call("a", first)),
                Box::pin(call("b", second)),
                end_of_faults
            );
            let (hurried, patient) =
                if hurried_is_first { (first, second) } else { (second, first) };
            assert!(matches!(hurried.0, EntryResult::Refused(Error::Busy)), "{hurried:?}");
            assert!(hurried.1 <= times[0], "{hurried:?}");
            assert!(matches!(patient.0, EntryResult::Created(_)), "{patient:?}");
        })
        .unwrap();
    }
}
