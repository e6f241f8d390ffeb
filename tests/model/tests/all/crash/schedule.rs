//! The schedule does all due work once, next to other processes and after a stop at any await. It
//! also charges monitored accounts.

use std::time::Duration;

use engine::{Engine, TABLE, catalogue, prices};
use futures_util::future::{join, join_all};
use refill::Summary;
use shared::domain::ids::{AccountId, TeamId};
use shared::domain::ledger::entry::{Entry, Kind};
use shared::domain::monitored_account::{MonitoredAccount, MonitoringStatus};
use shared::domain::purchase::GiftRequest;
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::lambda::{App, Clock};
use shared::store::Store;
use shared::store::history::Selection;
use shared::store::keys::{self, SHARDS};
use simulator::{Faults, World};

use crate::support::operations::Size;
use crate::support::process::{run_for_polls, seeds};
use crate::support::teams::{charge, hold_entry, key_named, now, team_with};

/// One month after [`now`], to the day.
const MONTH_LATER: &str = "2027-02-10T00:00:00Z";

fn at(time: &str) -> Time {
    time.parse().unwrap()
}

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn app(store: Store, time: &str) -> App {
    let time = at(time);
    App::new(store, Clock::new(move || time), catalogue())
}

fn app_of(world: &World) -> App {
    let (store, world) = (world.store(), world.clone());
    App::new(store, Clock::new(move || world.now()), catalogue())
}

/// A team with a cycle, a hold and two accounts that are due a month later.
async fn busy_team(store: &Store, name: &str) -> TeamId {
    let team = team_with(store, name, 0).await;
    store.hold_take(hold_entry(&team, 1, Size::Credits(30), 20, now()), now()).await.unwrap();
    for id in ["acme", "umbrella"] {
        store.monitored_account_add(&team, &account(id), prices(), now()).await.unwrap();
    }
    team
}

async fn history(store: &Store, team: &TeamId) -> Vec<Entry> {
    store.history_list(team, &Selection::default(), None, 1_000).await.unwrap().entries
}

/// The first days of the charged months of an account, in order.
async fn charged(store: &Store, team: &TeamId, id: &str) -> Vec<String> {
    let history = history(store, team).await;
    let bills = history.iter().filter(|entry| {
        entry.charged().is_some_and(|charged| charged.account == Some(account(id)))
    });
    let key = |entry: &Entry| entry.key.as_ref().unwrap().as_str().to_owned();
    let mut days: Vec<String> =
        bills.map(|entry| key(entry).rsplit_once(':').unwrap().1.to_owned()).collect();
    days.sort();
    days
}

async fn monitored(store: &Store, team: &TeamId, id: &str) -> MonitoredAccount {
    let accounts = store.monitored_account_list(team).await.unwrap();
    accounts.into_iter().find(|found| found.id == account(id)).unwrap()
}

/// Asserts that all due work of such a team was done once.
async fn is_done(store: &Store, team: &TeamId, now: Time) {
    for id in ["acme", "umbrella"] {
        assert_eq!(charged(store, team, id).await, ["2027-01-10", "2027-02-10"]);
        let account = monitored(store, team, id).await;
        assert_eq!(account.status, MonitoringStatus::Active);
        assert_eq!(account.paid_until.to_string(), "2027-03-10");
    }
    let pool = store.pool_current(team, now).await.unwrap();
    assert_eq!((pool.balance.free().get(), pool.held), (300, Credits::ZERO));
    let history = history(store, team).await;
    let of = |kind: Kind| history.iter().filter(|entry| entry.kind() == kind).count();
    assert_eq!((of(Kind::Grant), of(Kind::Release), of(Kind::Charge)), (2, 1, 4));
    assert_eq!(history.iter().map(|entry| entry.credits).sum::<i64>(), 300);
}

async fn due(store: &Store, shard: char, now: Time) -> usize {
    store.due_list(shard, now, None).await.unwrap().teams.len()
}

async fn is_all_done(store: &Store, teams: &[TeamId], now: Time) {
    for team in teams {
        is_done(store, team, now).await;
    }
    for shard in SHARDS {
        assert_eq!(due(store, shard, now).await, 0, "shard {shard}");
    }
}

async fn busy_teams(store: &Store, count: u32) -> Vec<TeamId> {
    let names: Vec<String> = (0..count).map(|number| format!("team-{number}")).collect();
    join_all(names.iter().map(|name| Box::pin(busy_team(store, name)))).await
}

#[test]
fn concurrent_runs_share_the_work() {
    simulator::run(1, Faults::NONE, at(MONTH_LATER), async |world| {
        let teams = busy_teams(&world.store(), 30).await;
        let apps = [(); 3].map(|()| app_of(&world));
        let runs = apps.iter().map(|app| refill::run(app, None));
        let runs = join_all(runs.map(Box::pin)).await;
        let sum = |part: fn(&Summary) -> u64| runs.iter().map(part).sum::<u64>();
        assert_eq!(sum(|run| run.changed), 30, "{runs:?}");
        assert_eq!((sum(|run| run.expired), sum(|run| run.billed)), (30, 60), "{runs:?}");
        assert_eq!((sum(|run| run.paused), sum(|run| run.failed)), (0, 0), "{runs:?}");
        is_all_done(&world.store(), &teams, world.now()).await;
        let again = refill::run(&apps[0], None).await;
        assert_eq!(again, Summary::default());
    })
    .unwrap();
}

#[test]
fn runs_with_faults_do_all_due_work_once() {
    for seed in seeds(0..4) {
        simulator::run(seed, Faults::NONE, at(MONTH_LATER), async |world| {
            let teams = busy_teams(&world.store(), 6).await;
            world.set_faults(Faults::MANY);
            for polls in [40, 90, 200] {
                let [dying, other] = [app_of(&world), app_of(&world)];
                let dying = run_for_polls(polls, async { _ = refill::run(&dying, None).await });
                tokio::join!(Box::pin(dying), Box::pin(refill::run(&other, None)));
            }
            world.set_faults(Faults::NONE);
            let last = refill::run(&app_of(&world), None).await;
            assert_eq!((last.failed, last.left), (0, false), "seed {seed}");
            is_all_done(&world.store(), &teams, world.now()).await;
        })
        .unwrap();
    }
}

/// After a run is stopped at any await, the next run completes the work.
#[test]
fn completes_a_run_that_stopped_at_any_await() {
    for polls in 1.. {
        let is_complete = simulator::run(7, Faults::NONE, at(MONTH_LATER), async |world| {
            let teams = busy_teams(&world.store(), 2).await;
            let dying = app_of(&world);
            let run = async { _ = refill::run(&dying, None).await };
            let is_complete = run_for_polls(polls, Box::pin(run)).await.is_some();
            assert_eq!(refill::run(&app_of(&world), None).await.failed, 0);
            is_all_done(&world.store(), &teams, world.now()).await;
            is_complete
        });
        if is_complete.unwrap() {
            assert!(polls > 20, "{polls} polls are fewer than expected");
            break;
        }
    }
}

#[test]
fn leaves_work_beyond_its_time_to_the_next_run() {
    const TEAMS: u32 = 112;
    simulator::run(1, Faults::NONE, at(MONTH_LATER), async |world| {
        let store = world.store();
        let teams = busy_teams(&store, TEAMS).await;
        let before = join_all(SHARDS.map(|shard| due(&store, shard, world.now()))).await;
        assert_eq!(before.iter().sum::<usize>(), TEAMS as usize);
        let mut runs = Vec::new();
        while runs.last().is_none_or(|run: &Summary| run.left) {
            // 50 ms to begin work in, plus the time that every run reserves for its end.
            let time = Duration::from_millis(15_050);
            runs.push(refill::run(&app_of(&world), Some(time)).await);
            assert!(runs.iter().all(|run| run.changed > 0), "each run makes progress: {runs:?}");
            if runs.len() == 1 {
                let now = join_all(SHARDS.map(|shard| due(&store, shard, world.now()))).await;
                let is_less = before.iter().zip(&now).all(|(before, now)| now < before);
                assert!(is_less, "each shard makes progress: {before:?} {now:?}");
            }
        }
        assert!(runs.len() > 2, "{runs:?}");
        assert_eq!(runs.iter().map(|run| run.changed).sum::<u64>(), u64::from(TEAMS));
        assert_eq!(runs.iter().map(|run| run.failed).sum::<u64>(), 0);
        is_all_done(&store, &teams, world.now()).await;
    })
    .unwrap();
}

#[tokio::test]
async fn a_failure_of_one_team_does_not_affect_others() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let teams = busy_teams(&store, 20).await;
    let broken = team_with(&store, "broken", 0).await;
    let spoil = engine.client().update_item().table_name(TABLE).set_key(Some(keys::pool(&broken)));
    let spoil = spoil.update_expression("SET credits = :nonsense");
    spoil.expression_attribute_values(":nonsense", keys::text("many")).send().await.unwrap();
    let summary = refill::run(&app(store.clone(), MONTH_LATER), None).await;
    let expected =
        Summary { changed: 20, expired: 20, billed: 40, failed: 1, ..Summary::default() };
    assert_eq!(summary, expected);
    for team in &teams {
        is_done(&store, team, at(MONTH_LATER)).await;
    }
}

#[tokio::test]
async fn charges_one_month_for_all_missed_months() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 10_000).await;
    for (id, added) in [
        ("on-the-31st", "2027-01-31T09:00:00Z"),
        ("on-the-29th", "2027-01-29T23:59:59Z"),
        ("on-a-leap-day", "2028-02-29T00:00:00Z"),
    ] {
        store.monitored_account_add(&team, &account(id), prices(), at(added)).await.unwrap();
    }
    for time in [
        "2027-02-27T23:59:59Z",
        "2027-02-28T00:00:00Z",
        "2027-02-28T01:00:00Z",
        "2027-03-31T00:00:00Z",
        "2027-09-15T00:00:00Z",
        "2028-03-30T00:00:00Z",
        "2029-02-28T00:00:00Z",
    ] {
        assert_eq!(refill::run(&app(store.clone(), time), None).await.failed, 0);
    }
    let days = async |id| charged(&store, &team, id).await;
    assert_eq!(
        days("on-the-31st").await,
        ["2027-01-31", "2027-02-28", "2027-03-31", "2027-08-31", "2028-02-29", "2029-02-28"]
    );
    assert_eq!(
        days("on-the-29th").await,
        ["2027-01-29", "2027-02-28", "2027-03-29", "2027-08-29", "2028-03-29", "2029-02-28"]
    );
    assert_eq!(days("on-a-leap-day").await, ["2028-02-29", "2028-03-29", "2029-02-28"]);
}

#[tokio::test]
async fn pauses_accounts_that_cannot_be_paid() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = team_with(&store, "t", 0).await;
    for id in ["a", "b", "c"] {
        store.monitored_account_add(&team, &account(id), prices(), now()).await.unwrap();
    }
    // Another plan grants nothing, so 70 credits remain for three bills of 50.
    let request = serde_json::from_str(r#"{"plan":"email"}"#).unwrap();
    store
        .terms_change(&team, now(), |pool| pool.subscribe(&request, &catalogue(), now()))
        .await
        .unwrap();
    gift(&store, &team, "enough for one", 70).await;
    let summary = refill::run(&app(store.clone(), MONTH_LATER), None).await;
    assert_eq!((summary.billed, summary.paused, summary.failed), (1, 2, 0));
    assert_eq!(monitored(&store, &team, "a").await.status, MonitoringStatus::Active);
    assert_eq!(monitored(&store, &team, "c").await.status, MonitoringStatus::Paused);
    let again = refill::run(&app(store.clone(), MONTH_LATER), None).await;
    assert_eq!(again, Summary::default(), "nothing is due for a paused account");

    let later = at("2027-02-20T08:00:00Z");
    let refused = store.monitored_account_add(&team, &account("c"), prices(), later).await;
    assert!(matches!(refused, Err(Error::InsufficientCredits { .. })), "{refused:?}");
    assert_eq!(monitored(&store, &team, "c").await.status, MonitoringStatus::Paused);
    let refused = store.monitored_account_add(&team, &account("d"), prices(), later).await;
    assert!(matches!(refused, Err(Error::InsufficientCredits { .. })), "{refused:?}");
    let accounts = store.monitored_account_list(&team).await.unwrap();
    assert_eq!(accounts.len(), 3, "a refused account leaves no item");
    gift(&store, &team, "enough again", 30).await;
    let restarted =
        store.monitored_account_add(&team, &account("c"), prices(), later).await.unwrap();
    assert_eq!(
        (restarted.since.to_string(), restarted.status),
        ("2027-02-20".into(), MonitoringStatus::Active)
    );
    assert_eq!(charged(&store, &team, "c").await, ["2027-01-10", "2027-02-20"]);
    assert_eq!(store.pool_current(&team, later).await.unwrap().balance.credits, Credits::ZERO);
}

async fn gift(store: &Store, team: &TeamId, key: &str, credits: u64) {
    let gift = GiftRequest { credits: Credits::new(credits), reference: None };
    let gift = gift.entry(team, key_named(key), "u".parse().unwrap(), now()).unwrap();
    store.gift_add(gift).await.unwrap();
}

#[tokio::test]
async fn rejects_bills_of_a_closed_account() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = busy_team(&store, "t").await;
    store.terms_change(&team, now(), |pool| Ok(pool.close(None, now()))).await.unwrap();
    let summary = refill::run(&app(store.clone(), MONTH_LATER), None).await;
    assert_eq!((summary.billed, summary.paused, summary.failed), (0, 0, 0));
    assert_eq!(charged(&store, &team, "acme").await, ["2027-01-10"]);
    assert_eq!(monitored(&store, &team, "acme").await.status, MonitoringStatus::Removed);
    assert_eq!(refill::run(&app(store, MONTH_LATER), None).await, Summary::default());
}

/// The key of a bill differs from every caller's key.
#[tokio::test]
async fn a_bill_shares_no_key_with_callers() {
    let engine = Engine::in_memory().await.unwrap();
    let store = engine.store();
    let team = busy_team(&store, "t").await;
    let key = "monitoring:acme:2027-02-10";
    store.charge(&team, vec![charge(&team, key, "sms", "sent")], now()).await;
    let summary = refill::run(&app(store.clone(), MONTH_LATER), None).await;
    assert_eq!((summary.billed, summary.failed), (2, 0));
    assert_eq!(charged(&store, &team, "acme").await, ["2027-01-10", "2027-02-10"]);
}

/// The schedule completes a start that was stopped at any await, or the start has charged nothing.
#[test]
fn an_account_is_active_exactly_if_its_month_was_charged() {
    for seed in [1, 2] {
        simulator::run(seed, Faults::NONE, now(), async |world| {
            let mut results = [0, 0];
            for polls in 1.. {
                let store = world.store();
                let team = team_with(&store, &format!("team-{polls}"), 0).await;
                let acme = account("acme");
                let start = async {
                    _ = store.monitored_account_add(&team, &acme, prices(), world.now()).await;
                };
                let is_complete = run_for_polls(polls, Box::pin(start)).await.is_some();
                assert_eq!(refill::run(&app_of(&world), None).await.failed, 0);
                let later = world.store();
                let charges = charged(&later, &team, "acme").await.len();
                let accounts = later.monitored_account_list(&team).await.unwrap();
                let is_active =
                    accounts.iter().any(|found| found.status == MonitoringStatus::Active);
                assert_eq!(charges, usize::from(is_active), "after {polls} polls");
                results[charges] += 1;
                later.monitored_account_add(&team, &acme, prices(), world.now()).await.unwrap();
                assert_eq!(charged(&later, &team, "acme").await.len(), 1);
                if is_complete {
                    break;
                }
            }
            assert!(results.iter().all(|count| *count > 0), "{results:?}");
        })
        .unwrap();
    }
}

/// A month is charged before the removal of its account or not at all: a removed account stays removed.
#[test]
fn a_removal_during_a_bill_is_not_overwritten() {
    for seed in seeds(0..20) {
        simulator::run(seed, Faults::NONE, at(MONTH_LATER), async |world| {
            let team = busy_team(&world.store(), "t").await;
            let (biller, remover, acme) = (world.store(), world.store(), account("acme"));
            let bill =
                biller.monitored_account_bill(&team, vec![acme.clone()], prices(), world.now());
            let removal = remover.monitored_account_remove(&team, &acme, world.now());
            let (bill, removal) = join(Box::pin(bill), Box::pin(removal)).await;
            bill.unwrap();
            removal.unwrap();
            let acme = monitored(&world.store(), &team, "acme").await;
            assert_eq!(acme.status, MonitoringStatus::Removed, "seed {seed}");
        })
        .unwrap();
    }
}

/// Runs of the schedule, additions and removals of an account at the same time charge each month
/// once.
#[test]
fn concurrent_callers_charge_a_month_once() {
    for seed in seeds(0..4) {
        simulator::run(seed, Faults::NONE, at(MONTH_LATER), async |world| {
            let store = world.store();
            let team = busy_team(&store, "t").await;
            world.set_faults(Faults::MANY);
            let work = (0..9).map(async |number| {
                let app = app_of(&world);
                let (store, acme, now) = (&app.store, account("acme"), world.now());
                match number % 3 {
                    0 => _ = refill::run(&app, None).await,
                    1 => _ = store.monitored_account_add(&team, &acme, prices(), now).await,
                    _ => _ = store.monitored_account_remove(&team, &acme, now).await,
                }
            });
            join_all(work.map(Box::pin)).await;
            world.set_faults(Faults::NONE);
            refill::run(&app_of(&world), None).await;
            let acme = store
                .monitored_account_add(&team, &account("acme"), prices(), world.now())
                .await
                .unwrap();
            assert_eq!(acme.paid_until.to_string(), "2027-03-10", "seed {seed}");
            is_done(&world.store(), &team, world.now()).await;
        })
        .unwrap();
    }
}
