//! Applies operations to the store, and reads the state of a team.

use engine::{catalogue, prices};
use serde_json::json;
use shared::domain::ids::TeamId;
use shared::domain::ledger::entry::Entry;
use shared::domain::monitored_account::MonitoredAccount;
use shared::domain::purchase::{GiftRequest, Purchase, PurchaseStatus};
use shared::domain::time::Time;
use shared::domain::{Credits, Error, Resource};
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::entry::EntryResult;
use shared::store::history::Selection;
use shared::store::hold::{Release, Released};

use crate::support::operations::{Answer, BillingMessage, Operation, TeamState};
use crate::support::teams::{
    account_id, hold_entry, hold_id, key, order, priced, settings, subscription,
};
use crate::support::views::state;

pub fn refusal(error: &Error) -> Answer {
    match error {
        Error::InsufficientCredits { balance, required } => {
            Answer::Insufficient { balance: balance.get(), required: required.get() }
        }
        Error::HoldExceeded { remaining, required } => {
            Answer::Insufficient { balance: remaining.get(), required: required.get() }
        }
        Error::KeyReused => Answer::KeyReused,
        Error::AccountClosed => Answer::Closed,
        Error::NotFound(Resource::Hold) => Answer::NoHold,
        Error::NotFound(Resource::MonitoredAccount) => Answer::NoAccount,
        Error::NotFound(Resource::Subscription) => Answer::NoPlan,
        Error::NotFound(_) => Answer::NoTeam,
        Error::HoldClosed(_) => Answer::HoldClosed,
        Error::EnrichmentPaused => Answer::Paused,
        Error::NothingToRestart => Answer::NothingToRestart,
        Error::Busy => Answer::Busy,
        other => panic!("{other:?}"),
    }
}

pub fn answer(result: EntryResult) -> Answer {
    match result {
        EntryResult::Created(entry) => Answer::Done(entry.credits.unsigned_abs()),
        EntryResult::Replayed(entry) => Answer::Replayed(entry.credits.unsigned_abs()),
        EntryResult::Refused(error) => refusal(&error),
    }
}

pub async fn buy(store: &Store, purchase: &Purchase, now: Time) -> Result<Answer, Error> {
    let (begun, _) = store.purchase_begin(purchase).await?;
    let credits = begun.credits.get();
    if begun.status == PurchaseStatus::Paid {
        return Ok(Answer::Replayed(credits));
    }
    // The second settlement has no effect.
    store.purchase_settle(&begun, now).await?;
    store.purchase_settle(&begun, now).await?;
    Ok(Answer::Done(credits))
}

async fn hold(store: &Store, entry: Entry, now: Time) -> Answer {
    match store.hold_take(entry, now).await {
        Ok(EntryResult::Created(entry)) => Answer::Done(entry.held.unsigned_abs()),
        Ok(EntryResult::Replayed(entry)) => Answer::Replayed(entry.held.unsigned_abs()),
        Ok(EntryResult::Refused(error)) | Err(error) => refusal(&error),
    }
}

async fn release(store: &Store, team: &TeamId, keys: (u16, u16), now: Time) -> Answer {
    let by = Release { key: key(keys.0), user: "u".parse().unwrap() };
    match store.hold_release(team, &hold_id(team, keys.1), &by, now).await {
        Ok(Released { hold, is_replay: false, .. }) => Answer::Done(hold.captured.get()),
        Ok(Released { hold, .. }) => Answer::Replayed(hold.captured.get()),
        Err(error) => refusal(&error),
    }
}

/// Applies an operation. Returns one answer per charge, else one answer.
pub async fn apply(store: &Store, team: &TeamId, operation: &Operation, now: Time) -> Vec<Answer> {
    match operation {
        Operation::Charge(charges) => {
            let entries = charges.iter().map(|charge| priced(charge, team, now)).collect();
            store.charge(team, entries, now).await.into_iter().map(answer).collect()
        }
        Operation::Purchase { key: number, credits } => {
            let purchase = order(team, key(*number), (*credits).into(), now);
            vec![buy(store, &purchase, now).await.unwrap_or_else(|error| refusal(&error))]
        }
        Operation::Gift { key: number, credits } => {
            let gift = GiftRequest { credits: Credits::new((*credits).into()), reference: None };
            let entry = gift.entry(team, key(*number), "u".parse().unwrap(), now).unwrap();
            vec![store.gift_add(entry).await.map_or_else(|error| refusal(&error), answer)]
        }
        Operation::Hold { key: number, size, days } => {
            vec![hold(store, hold_entry(team, *number, *size, *days, now), now).await]
        }
        Operation::Release { key, hold } => vec![release(store, team, (*key, *hold), now).await],
        Operation::Subscribe { plan, seats, restart } => {
            let request = subscription(plan, *seats, *restart, now);
            vec![
                done(async {
                    store.pool_open(team).await?;
                    store
                        .terms_change(team, now, |pool| pool.subscribe(&request, &catalogue(), now))
                        .await
                })
                .await,
            ]
        }
        Operation::Cancel => {
            vec![done(store.terms_change(team, now, |pool| pool.cancel(None, now))).await]
        }
        Operation::Close => {
            vec![done(store.terms_change(team, now, |pool| Ok(pool.close(None, now)))).await]
        }
        Operation::Restart => vec![done(store.enrichment_restart(team, prices(), now)).await],
        Operation::Monitor(id) => {
            vec![done(store.monitored_account_add(team, &account_id(*id), prices(), now)).await]
        }
        Operation::StopMonitoring(id) => {
            vec![done(store.monitored_account_remove(team, &account_id(*id), now)).await]
        }
        Operation::BillingMessage { version, message } => {
            let app = App::new(store.clone(), Clock::new(move || now), catalogue());
            let event = billing_event(team, *version, message, now);
            vec![done(team::apply_message(&app, event.as_bytes())).await]
        }
        Operation::PutSettings { low, top_up } => {
            vec![done(store.settings_change(team, &settings(*low, *top_up).into(), now)).await]
        }
        Operation::RunSchedule => vec![done(run_schedule(store, team, now)).await],
        Operation::Wait(_) => Vec::new(),
    }
}

pub fn done<T>(act: impl Future<Output = Result<T, Error>>) -> impl Future<Output = Answer> {
    let act = Box::pin(act);
    async { act.await.map_or_else(|error| refusal(&error), |_| Answer::Done(0)) }
}

/// Does the work of the schedule for a team with due work.
pub async fn run_schedule(store: &Store, team: &TeamId, now: Time) -> Result<(), Error> {
    store.team_upkeep(team, now).await?;
    let mut due = store.monitored_account_list(team).await?;
    due.retain(|account| account.due_at().is_some_and(|due| due <= now));
    due.sort_by_key(MonitoredAccount::due_at);
    let due = due.into_iter().map(|account| account.id).collect();
    store.monitored_account_bill(team, due, prices(), now).await.map(drop)
}

pub fn billing_event(team: &TeamId, version: u64, message: &BillingMessage, now: Time) -> String {
    let message = match message {
        BillingMessage::Changed { plan, seats, restart } => {
            let mut detail =
                json!({ "team": team, "version": version, "plan": plan, "seats": seats });
            if *restart {
                detail["started_at"] = json!(now);
            }
            json!({ "detail-type": "subscription.changed", "detail": detail })
        }
        BillingMessage::Cancelled => {
            let detail = json!({ "team": team, "version": version });
            json!({ "detail-type": "subscription.cancelled", "detail": detail })
        }
    };
    message.to_string()
}

/// Returns the state of a team. Asserts that it is the same before and after due changes are
/// written.
pub async fn verified_state(store: &Store, team: &TeamId, now: Time) -> TeamState {
    let computed = read_state(store, team, now).await;
    match store.team_upkeep(team, now).await {
        Ok(_) => assert_eq!(
            read_state(store, team, now).await,
            computed,
            "the written state equals the computed state"
        ),
        Err(error) => assert!(matches!(error, Error::NotFound(_)), "{error:?}"),
    }
    computed
}

pub async fn read_state(store: &Store, team: &TeamId, now: Time) -> TeamState {
    let view = match store.projection_read(team, now).await {
        Ok(view) => view,
        Err(Error::NotFound(_)) => return TeamState::default(),
        Err(error) => panic!("{error:?}"),
    };
    let selection = Selection { unwritten: view.entries.clone(), ..Selection::default() };
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let page = store.history_list(team, &selection, after.as_ref(), 200).await.unwrap();
        entries.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(
        entries.is_sorted_by(|a, b| (a.at, &a.id) > (b.at, &b.id)),
        "entries are unique, newest first"
    );
    let accounts = store.monitored_account_list(team).await.unwrap();
    state(&view.pool, view.held().unwrap().get(), entries.iter(), accounts.iter())
}
