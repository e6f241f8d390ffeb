//! The history over its sixteen shards is complete and in order, for every page size and filter.

use engine::Engine;
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::time::Time;
use shared::store::history::{Position, Selection};

use crate::support::teams::{charge, now, stored, team_with};

fn at(second: u32) -> Time {
    now().plus_seconds(second)
}

#[tokio::test]
async fn pages_are_complete_and_in_order() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 10_000).await;
    let other = team_with(&store, "t2", 0).await;
    // Several entries have the same second, so the id orders them.
    let entries: Vec<Entry> = (0..600_u32)
        .map(|n| {
            let (action, outcome) =
                if n % 97 == 0 { ("sms", "sent") } else { ("email_finder", "risky") };
            Entry { at: at(n / 5), ..charge(&team, &n.to_string(), action, outcome) }
        })
        .collect();
    store.charge(&team, entries.clone(), now()).await;
    store.charge(&other, vec![charge(&other, "x", "sms", "sent")], now()).await;

    let charges = Selection { kind: Some(Kind::Charge), ..Selection::default() };
    let rare = Selection { action: Some("sms".to_owned()), ..Selection::default() };
    let span = Selection { from: Some(at(10)), to: Some(at(20)), ..charges.clone() };
    for (selection, limits) in [(charges, [7, 50, 1_000]), (rare, [1, 3, 50]), (span, [1, 20, 200])]
    {
        let mut expected: Vec<Entry> =
            entries.iter().filter(|entry| is_in(entry, &selection)).map(stored).collect();
        expected.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        for limit in limits {
            let mut found = Vec::new();
            let mut after: Option<Position> = None;
            loop {
                let page =
                    store.history_list(&team, &selection, after.as_ref(), limit).await.unwrap();
                assert!(page.entries.len() <= limit);
                found.extend(page.entries);
                // A cursor is a text for a client.
                after = page.next.map(|position| position.to_string().parse().unwrap());
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{selection:?} by {limit}");
        }
    }
}

fn is_in(entry: &Entry, selection: &Selection) -> bool {
    selection
        .action
        .as_ref()
        .is_none_or(|action| entry.charged().is_some_and(|charged| charged.action == *action))
        && selection.from.is_none_or(|from| entry.at >= from)
        && selection.to.is_none_or(|to| entry.at < to)
}

/// A page of a filter without matches may be empty before the end of the history. Its cursor
/// continues.
#[tokio::test]
async fn an_empty_page_has_a_cursor_that_continues() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 1_000_000).await;
    let oldest = Entry { at: at(0), ..charge(&team, "oldest", "sms", "sent") };
    let mut entries: Vec<Entry> = (0..9_000_u32)
        .map(|n| Entry {
            at: at(1 + n),
            ..charge(&team, &n.to_string(), "email_finder", "not_found")
        })
        .collect();
    entries.push(oldest.clone());
    for entries in entries.chunks(990) {
        store.charge(&team, entries.to_vec(), now()).await;
    }
    let selection = Selection { action: Some("sms".to_owned()), ..Selection::default() };
    let first = store.history_list(&team, &selection, None, 50).await.unwrap();
    assert!(first.entries.is_empty());
    let rest = store.history_list(&team, &selection, first.next.as_ref(), 50).await.unwrap();
    assert_eq!((rest.entries, rest.next), (vec![stored(&oldest)], None));
}
