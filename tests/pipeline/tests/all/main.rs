//! The pipeline against the local stack: kills, faults, expiry and bad input.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics on an unexpected value"
)]

mod support;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use support::setup::{Gate, LEADS, Setup, When, failure, summary};

/// More than the worst case, 25 credits for each lead.
const ENOUGH: u64 = 2_000;

const HOLD: &str = "/holds";
const BATCH: &str = "/charges/batch";
const RELEASE: &str = "/release";

/// Returns the ledger and the summary of a run without faults.
async fn undisturbed(name: &str) -> (Vec<Value>, String) {
    let setup = Setup::start(name, ENOUGH).await;
    let summary = setup.finish().await;
    (setup.settled().await, summary)
}

fn count(ledger: &[Value], kind: &str) -> usize {
    ledger.iter().filter(|entry| entry["kind"] == kind).count()
}

fn spent(ledger: &[Value]) -> i64 {
    let charges = ledger.iter().filter(|entry| entry["action"].is_string());
    charges.map(|entry| -entry["credits"].as_i64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_charges_each_result_and_releases_the_rest() {
    let setup = Setup::start("settles", ENOUGH).await;
    let summary = setup.finish().await;
    let ledger = setup.settled().await;
    assert_eq!(count(&ledger, "capture"), 2 * LEADS, "the hold paid for all");
    let spent = spent(&ledger);
    assert!(0 < spent && spent < 1_500, "{spent}");
    let rows: Vec<Vec<&str>> =
        summary.lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |action: &str| {
        let all: Vec<&Value> = ledger.iter().filter(|entry| entry["action"] == action).collect();
        let costs: Vec<i64> = all.iter().map(|entry| -entry["credits"].as_i64().unwrap()).collect();
        let hits = costs.iter().filter(|credits| **credits > 0).count();
        [costs.len().to_string(), hits.to_string(), costs.iter().sum::<i64>().to_string()]
    };
    assert_eq!(rows[1][1..], of("email_finder"));
    assert_eq!(rows[2][1..], of("phone_finder"));
    assert_eq!(rows[3], ["charged", &spent.to_string()]);
    assert_eq!(rows[4], ["released", &(1_500 - spent).to_string()]);
    assert_eq!(rows[5], ["balance", &(2_000 - spent).to_string()]);

    assert_eq!(setup.finish().await, summary, "a further run of a finished job changes nothing");
    assert_eq!(setup.settled().await, ledger);
}

/// After a kill at any request, the next run has the same ledger and summary as a run without faults.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_continues_to_the_same_ledger() {
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
        let setup = Setup::start(&format!("killed {number}"), ENOUGH).await;
        let killed = setup.run(Gate::Kills(path, nth, when)).await;
        assert_eq!(killed.status.signal(), Some(9), "{path} {nth} {when:?}: {killed:?}");
        let found = setup.read("results.csv").lines().count().saturating_sub(1);
        let charged = count(&setup.ledger().await, "capture");
        match (path, when) {
            (HOLD, _) => assert_eq!((found, charged), (0, 0)),
            (BATCH, When::Before) => assert!(charged < found, "{charged} of {found}"),
            (RELEASE, _) => assert_eq!((found, charged), (2 * LEADS, 2 * LEADS)),
            _ => assert!(0 < charged && charged <= found, "{charged} of {found}"),
        }
        let summary = setup.finish().await;
        assert_eq!((setup.settled().await, summary), expected, "{path} {nth} {when:?}");
    }
}

/// Each kill of the same job leaves an incomplete line in the journal.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_killed_repeatedly_with_incomplete_lines_continues_to_the_same_ledger() {
    let expected = undisturbed("undisturbed too").await;
    let setup = Setup::start("in turn", ENOUGH).await;
    for (path, nth, when) in [
        (HOLD, 1, When::After),
        (BATCH, 1, When::Before),
        (BATCH, 2, When::After),
        (BATCH, 3, When::Before),
        (BATCH, 4, When::After),
        (RELEASE, 1, When::Before),
        (RELEASE, 1, When::After),
    ] {
        let killed = setup.run(Gate::Kills(path, nth, when)).await;
        assert_eq!(killed.status.signal(), Some(9), "{path} {nth} {when:?}: {killed:?}");
        let whole = setup.read("results.csv");
        setup.write("results.csv", &format!("{whole}job,7,email_fin"));
    }
    let summary = setup.finish().await;
    assert_eq!((setup.settled().await, summary), expected);
}

/// A provider that is asked again may answer differently, so the first answer counts.
#[tokio::test(flavor = "multi_thread")]
async fn charges_the_outcome_in_the_journal() {
    let setup = Setup::start("found", ENOUGH).await;
    setup.run(Gate::Kills(BATCH, 1, When::Before)).await;
    let nothing = ",phone_finder,not_found,,";
    let found = setup.read("results.csv");
    assert!(found.contains(nothing), "{found}");
    let found = found.replace(nothing, ",phone_finder,valid,another,+12025550100");
    setup.write("results.csv", &found);
    setup.finish().await;
    assert!(setup.read("results.csv").starts_with(&found));
    setup.settled().await;
}

/// Requests are dropped, answers are lost, batches are refused as busy.
#[tokio::test(flavor = "multi_thread")]
async fn retries_lead_to_the_same_ledger_on_an_unreliable_service() {
    let expected = undisturbed("reliable").await;
    let setup = Setup::start("unreliable", ENOUGH).await;
    let summary = summary(&setup.run(Gate::Unreliable).await);
    assert_eq!((setup.settled().await, summary), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_path_of_the_results() {
    let setup = Setup::start("results path", ENOUGH).await;
    let output = setup.run(Gate::Open).await;
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.lines().any(|line| line == "results: results.csv"), "{lines}");
    assert_eq!(setup.read("results.csv").lines().count(), 2 * LEADS + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unaffordable_job_starts_nothing_and_suggests_cheaper_actions() {
    for (credits, suggestions) in [
        (1_499, &["email_finder, at most 300 credits", "phone_finder, at most 1200 credits"][..]),
        (1_199, &["email_finder, at most 300 credits"]),
        (299, &[]),
    ] {
        let setup = Setup::start(&format!("not affordable {credits}"), credits).await;
        let before = setup.ledger().await;
        let error = failure(&setup.run(Gate::Open).await);
        let missing = format!("{} are missing", 1_500 - credits);
        assert!(error.starts_with("not affordable") && error.contains(&missing), "{error}");
        let suggested: Vec<&str> = error.lines().skip(1).collect();
        let expected = suggestions.iter().map(|it| format!("affordable: --actions {it}"));
        assert_eq!(suggested, expected.collect::<Vec<_>>());
        assert_eq!(setup.credits().await, (i64::try_from(credits).unwrap(), 0));
        assert_eq!(setup.ledger().await, before);
        assert_eq!(setup.read("results.csv"), "", "no provider was asked");
    }
}

/// Captures stay; a later run charges the other results to the pool.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_hold_expires_the_rest_is_charged_to_the_pool() {
    let setup = Setup::start("expires", ENOUGH).await;
    setup.run(Gate::Kills(BATCH, 3, When::Before)).await;
    let captured = count(&setup.ledger().await, "capture");
    setup.travel("2027-02-01T10:00:00Z").await;
    let killed = setup.run(Gate::Kills(BATCH, 6, When::After)).await;
    assert_eq!(killed.status.signal(), Some(9), "{killed:?}");
    let by_pool = count(&setup.ledger().await, "charge");
    assert!(0 < by_pool && by_pool < 2 * LEADS - captured, "{by_pool}");

    let summary = setup.finish().await;
    let ledger = setup.settled().await;
    assert_eq!(count(&ledger, "capture"), captured);
    assert_eq!(count(&ledger, "charge"), 2 * LEADS - captured);
    assert!(summary.contains("of that to the pool") && summary.contains("expired"), "{summary}");
    let (without_expiry, _) = undisturbed("not expired").await;
    assert_eq!(spent(&ledger), spent(&without_expiry));

    assert_eq!(setup.finish().await, summary, "a further run changes nothing");
    assert_eq!(setup.settled().await, ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_leads_are_refused_before_the_hold() {
    let setup = Setup::start("bad leads", ENOUGH).await;
    let before = setup.ledger().await;
    let long = "x".repeat(101);
    for (leads, reason) in [
        ("", "has no leads"),
        ("id,name,domain\n", "has no leads"),
        ("id,name\n1,Alma\n", "missing field `domain`"),
        ("id,name,domain\n1,Alma,a.example\n2,Bruno\n", "line: 3"),
        ("id,name,domain\n1,Alma,a.example\n1,Bruno,b.example\n", "`1` occurs twice"),
        ("id,name,domain\n1,Alma,a.example\n 1 ,Bruno,b.example\n", "`1` occurs twice"),
        ("id,name,domain\n,Alma,a.example\n", "an id must be"),
        ("id,name,domain\n\"1\n2\",Alma,a.example\n", "an id must be"),
        (&format!("id,name,domain\n{long},Alma,a.example\n"), "an id must be"),
    ] {
        setup.write("bad.csv", leads);
        let error = failure(&setup.run_job("job", "bad.csv", Gate::Open).await);
        assert!(error.starts_with("bad.csv: ") && error.contains(reason), "{leads:?}: {error}");
    }
    failure(&setup.run_job("job", "none.csv", Gate::Open).await);
    assert_eq!(setup.ledger().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_differs_from_the_charges_stops_the_run() {
    let setup = Setup::start("journals", ENOUGH).await;
    setup.finish().await;
    let ledger = setup.settled().await;
    let journal = setup.read("results.csv");
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
        setup.write("results.csv", &text);
        let error = failure(&setup.run_job(job, "leads.csv", Gate::Open).await);
        assert!(error.contains(reason), "{error}");
        assert_eq!(setup.read("results.csv"), text, "the file is unchanged");
    }
    assert_eq!(setup.ledger().await, ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_once_at_a_time() {
    let setup = Setup::start("one at a time", ENOUGH).await;
    let before = setup.ledger().await;
    let journal = File::create(setup.path("results.csv")).unwrap();
    journal.lock().unwrap();
    let error = failure(&setup.run(Gate::Open).await);
    assert!(error.contains("another run uses it"), "{error}");
    assert_eq!(setup.ledger().await, before);
    drop(journal);
    setup.finish().await;
    setup.settled().await;
}
