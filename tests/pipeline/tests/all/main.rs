//! The pipeline against the local stack: to the credit, whatever happens to it in between.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

mod bench;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use bench::{Bench, Gate, LEADS, When, failure, summary};

/// More than the worst case, 25 credits for each lead.
const ENOUGH: u64 = 2_000;

const HOLD: &str = "/holds";
const BATCH: &str = "/charges/batch";
const RELEASE: &str = "/release";

/// The ledger and the summary of a run that nothing happens to.
async fn undisturbed(name: &str) -> (Vec<Value>, String) {
    let bench = Bench::start(name, ENOUGH).await;
    let summary = bench.finish().await;
    (bench.settled().await, summary)
}

fn count(ledger: &[Value], kind: &str) -> usize {
    ledger.iter().filter(|entry| entry["kind"] == kind).count()
}

fn spent(ledger: &[Value]) -> i64 {
    let charges = ledger.iter().filter(|entry| entry["action"].is_string());
    charges.map(|entry| -entry["credits"].as_i64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_settles_to_the_credit() {
    let bench = Bench::start("settles", ENOUGH).await;
    let summary = bench.finish().await;
    let ledger = bench.settled().await;
    assert_eq!(count(&ledger, "capture"), 2 * LEADS, "all were paid by the hold");
    let spent = spent(&ledger);
    assert!(0 < spent && spent < 1_500, "{spent}");
    let said: Vec<Vec<&str>> =
        summary.lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |action: &str| {
        let all: Vec<&Value> = ledger.iter().filter(|entry| entry["action"] == action).collect();
        let costs: Vec<i64> = all.iter().map(|entry| -entry["credits"].as_i64().unwrap()).collect();
        let hits = costs.iter().filter(|credits| **credits > 0).count();
        [costs.len().to_string(), hits.to_string(), costs.iter().sum::<i64>().to_string()]
    };
    assert_eq!(said[1][1..], of("email_finder"));
    assert_eq!(said[2][1..], of("phone_finder"));
    assert_eq!(said[3], ["charged", &spent.to_string()]);
    assert_eq!(said[4], ["released", &(1_500 - spent).to_string()]);
    assert_eq!(said[5], ["balance", &(2_000 - spent).to_string()]);

    assert_eq!(bench.finish().await, summary, "a run of a job that is done changes nothing");
    assert_eq!(bench.settled().await, ledger);
}

/// Whenever a run is killed, the next one comes to the same end.
#[tokio::test(flavor = "multi_thread")]
async fn killed_and_run_again() {
    let expected = undisturbed("undisturbed").await;
    for (number, (path, nth, when)) in [
        (HOLD, 1, When::Before),
        (HOLD, 1, When::After),
        (BATCH, 1, When::Before),
        (BATCH, 1, When::After),
        (BATCH, 4, When::Before),
        (BATCH, 4, When::After),
        (RELEASE, 1, When::Before),
        (RELEASE, 1, When::After),
    ]
    .into_iter()
    .enumerate()
    {
        let bench = Bench::start(&format!("killed {number}"), ENOUGH).await;
        let killed = bench.run(Gate::Kills(path, nth, when)).await;
        assert_eq!(killed.status.signal(), Some(9), "{path} {nth} {when:?}: {killed:?}");
        let found = bench.read("results.csv").lines().count().saturating_sub(1);
        let charged = count(&bench.ledger().await, "capture");
        match (path, when) {
            (HOLD, _) => assert_eq!((found, charged), (0, 0)),
            (BATCH, When::Before) => assert!(charged < found, "{charged} of {found}"),
            (RELEASE, _) => assert_eq!((found, charged), (2 * LEADS, 2 * LEADS)),
            _ => assert!(0 < charged && charged <= found, "{charged} of {found}"),
        }
        let summary = bench.finish().await;
        assert_eq!((bench.settled().await, summary), expected, "{path} {nth} {when:?}");
    }
}

/// One job that dies again and again, and each time leaves a torn line behind.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_moment_in_turn() {
    let expected = undisturbed("undisturbed too").await;
    let bench = Bench::start("in turn", ENOUGH).await;
    for (path, nth, when) in [
        (HOLD, 1, When::After),
        (BATCH, 1, When::Before),
        (BATCH, 2, When::After),
        (BATCH, 3, When::Before),
        (BATCH, 4, When::After),
        (RELEASE, 1, When::Before),
        (RELEASE, 1, When::After),
    ] {
        let killed = bench.run(Gate::Kills(path, nth, when)).await;
        assert_eq!(killed.status.signal(), Some(9), "{path} {nth} {when:?}: {killed:?}");
        let whole = bench.read("results.csv");
        bench.write("results.csv", &format!("{whole}job,7,email_fin"));
    }
    let summary = bench.finish().await;
    assert_eq!((bench.settled().await, summary), expected);
}

/// A provider may answer otherwise when it is asked again, so what it said first counts.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_is_charged_as_it_was_found() {
    let bench = Bench::start("found", ENOUGH).await;
    bench.run(Gate::Kills(BATCH, 1, When::Before)).await;
    let nothing = ",phone_finder,not_found,,";
    let found = bench.read("results.csv");
    assert!(found.contains(nothing), "{found}");
    let found = found.replace(nothing, ",phone_finder,valid,another,+12025550100");
    bench.write("results.csv", &found);
    bench.finish().await;
    assert!(bench.read("results.csv").starts_with(&found));
    bench.settled().await;
}

/// Requests that are not done, answers that get lost, batches that find the table busy.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreliable_service() {
    let expected = undisturbed("reliable").await;
    let bench = Bench::start("unreliable", ENOUGH).await;
    let summary = summary(&bench.run(Gate::Unreliable).await);
    assert_eq!((bench.settled().await, summary), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_affordable_is_not_begun() {
    let bench = Bench::start("not affordable", 1_499).await;
    let before = bench.ledger().await;
    let said = failure(&bench.run(Gate::Open).await);
    assert!(said.starts_with("not affordable") && said.contains("1 are missing"), "{said}");
    assert_eq!(bench.credits().await, (1_499, 0));
    assert_eq!(bench.ledger().await, before);
    assert_eq!(bench.read("results.csv"), "", "no provider was asked");
}

/// What was captured stays captured, and the rest is charged to the pool, by whichever run.
#[tokio::test(flavor = "multi_thread")]
async fn the_hold_expires_between_two_runs() {
    let bench = Bench::start("expires", ENOUGH).await;
    bench.run(Gate::Kills(BATCH, 3, When::Before)).await;
    let captured = count(&bench.ledger().await, "capture");
    bench.travel("2027-02-01T10:00:00Z").await;
    let killed = bench.run(Gate::Kills(BATCH, 6, When::After)).await;
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    let by_pool = count(&bench.ledger().await, "charge");
    assert!(0 < by_pool && by_pool < 2 * LEADS - captured, "{by_pool}");

    let summary = bench.finish().await;
    let ledger = bench.settled().await;
    assert_eq!(count(&ledger, "capture"), captured);
    assert_eq!(count(&ledger, "charge"), 2 * LEADS - captured);
    assert!(summary.contains("of that to the pool") && summary.contains("expired"), "{summary}");
    let (as_it_was, _) = undisturbed("not expired").await;
    assert_eq!(spent(&ledger), spent(&as_it_was));

    assert_eq!(bench.finish().await, summary, "one more run changes nothing");
    assert_eq!(bench.settled().await, ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_leads_are_refused_before_anything_is_reserved() {
    let bench = Bench::start("bad leads", ENOUGH).await;
    let before = bench.ledger().await;
    let long = "x".repeat(101);
    for (leads, reason) in [
        ("", "has no leads"),
        ("id,name,domain\n", "has no leads"),
        ("id,name\n1,Alma\n", "missing field `domain`"),
        ("id,name,domain\n1,Alma,a.example\n2,Bruno\n", "line: 3"),
        ("id,name,domain\n1,Alma,a.example\n1,Bruno,b.example\n", "`1` is there twice"),
        ("id,name,domain\n1,Alma,a.example\n 1 ,Bruno,b.example\n", "`1` is there twice"),
        ("id,name,domain\n,Alma,a.example\n", "an id must be"),
        ("id,name,domain\n\"1\n2\",Alma,a.example\n", "an id must be"),
        (&format!("id,name,domain\n{long},Alma,a.example\n"), "an id must be"),
    ] {
        bench.write("bad.csv", leads);
        let said = failure(&bench.run_job("job", "bad.csv", Gate::Open).await);
        assert!(said.starts_with("bad.csv: ") && said.contains(reason), "{leads:?}: {said}");
    }
    failure(&bench.run_job("job", "none.csv", Gate::Open).await);
    assert_eq!(bench.ledger().await, before);
}

/// A journal that is not what was charged stops the run, and nothing more is charged.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_something_else() {
    let bench = Bench::start("journals", ENOUGH).await;
    bench.finish().await;
    let ledger = bench.settled().await;
    let journal = bench.read("results.csv");
    let (header, records) = journal.split_once('\n').unwrap();
    let reversed = |outcome: &str| if outcome == "not_found" { "risky" } else { "not_found" };
    let first: Vec<&str> = records.lines().next().unwrap().split(',').collect();
    let key = format!("job/{}/{}", first[2], first[1]);
    let other = records.replacen(first[3], reversed(first[3]), 1);
    for (text, job, reason) in [
        (format!("{header}\n{other}"), "job", key.as_str()),
        (format!("{header}\nnonsense\n{records}"), "job", "results.csv: "),
        (journal.replace("job,59,", "job,60,"), "job", "other leads"),
        (format!("{journal}{}\n", records.lines().next().unwrap()), "job", "other leads"),
        (journal.clone(), "another", "the job `job`"),
    ] {
        bench.write("results.csv", &text);
        let said = failure(&bench.run_job(job, "leads.csv", Gate::Open).await);
        assert!(said.contains(reason), "{said}");
        assert_eq!(bench.read("results.csv"), text, "it is left as it is");
    }
    assert_eq!(bench.ledger().await, ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_once_at_a_time() {
    let bench = Bench::start("one at a time", ENOUGH).await;
    let before = bench.ledger().await;
    let journal = File::create(bench.path("results.csv")).unwrap();
    journal.lock().unwrap();
    let said = failure(&bench.run(Gate::Open).await);
    assert!(said.contains("another run has it"), "{said}");
    assert_eq!(bench.ledger().await, before);
    drop(journal);
    bench.finish().await;
    bench.settled().await;
}
