//! The history: filters, pages and the file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::store::retry::with_deadline;

use crate::support::api::{Api, answer, member, pipeline};
use crate::support::gateway::Event;

/// Makes charges on nine days and a purchase. Returns the entries.
async fn nine_days_of_charges(api: &Api) -> Vec<Value> {
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    let machine = pipeline();
    for day in 1..=9 {
        api.travel(&format!("2027-02-0{day}T12:00:00Z")).await;
        let (action, outcome) = match day % 3 {
            0 => ("email_finder", "not_found"),
            1 => ("email_finder", "risky"),
            _ => ("phone_finder", "valid"),
        };
        let user = if day < 5 { "ann" } else { "bob" };
        let reference = format!("lead \"{day}\", the \u{e9}lite");
        let body =
            json!({ "action": action, "outcome": outcome, "user": user, "reference": reference });
        api.post(&machine, "/teams/t/charges", &day.to_string(), &body).await.ok();
    }
    api.buy("t", "order", 300).await.ok();
    api.history("t").await
}

type Wanted = fn(&Value) -> bool;

#[tokio::test]
async fn filters_and_pages_the_history() {
    let api = Api::start().await;
    let entries = nine_days_of_charges(&api).await;
    assert_eq!(entries.len(), 11);
    let times: Vec<&str> = entries.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older));
    let filters: [(&str, Wanted, usize); 13] = [
        ("kind=purchase", |e| e["kind"] == "purchase", 1),
        ("kind=grant", |e| e["kind"] == "grant", 1),
        ("action=phone_finder", |e| e["action"] == "phone_finder", 3),
        ("user=ann", |e| e["user"] == "ann", 4),
        (
            "user=bob&action=email_finder",
            |e| e["user"] == "bob" && e["action"] == "email_finder",
            3,
        ),
        ("from=2027-02-08", |e| e["at"].as_str().unwrap() >= "2027-02-08", 3),
        ("to=2027-02-02", |e| e["at"].as_str().unwrap() < "2027-02-03", 3),
        (
            "from=2027-02-03T12:00:00Z&to=2027-02-05T12:00:00Z",
            |e| {
                let at = e["at"].as_str().unwrap();
                ("2027-02-03T12".."2027-02-05T12").contains(&at)
            },
            2,
        ),
        ("kind=expiry", |e| e["kind"] == "expiry", 0),
        ("reference=lead+%224%22%2C+the+%C3%A9lite", |e| e["key"] == "4", 1),
        ("key=7", |e| e["key"] == "7", 1),
        ("key=order", |e| e["kind"] == "purchase", 1),
        ("hold=h_none", |_| false, 0),
    ];
    for (filter, wanted, count) in filters {
        let expected: Vec<&Value> = entries.iter().filter(|entry| wanted(entry)).collect();
        assert_eq!(expected.len(), count, "{filter}");
        for limit in [1, 2, 200] {
            let found = pages(&api, filter, limit).await;
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter} by {limit}");
            let mut oldest_first = pages(&api, &format!("{filter}&order=asc"), limit).await;
            oldest_first.reverse();
            assert_eq!(oldest_first, found, "{filter} by {limit}, oldest first");
        }
    }
}

/// All pages of a selection.
async fn pages(api: &Api, filter: &str, limit: usize) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/teams/t/history?{filter}&limit={limit}{cursor}");
        let page = api.get(&member("t"), &path).await.ok();
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= limit, "{filter}");
        found.extend(entries.iter().cloned());
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn lists_the_entries_of_a_hold() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let [hold, other] = [api.held("t", 100, 60).await, api.held("t", 200, 60).await];
    api.travel("2027-01-31T10:00:10Z").await;
    api.capture("t", &hold, "lead").await.ok();
    api.travel("2027-01-31T10:00:20Z").await;
    api.release("t", &hold, "done").await.ok();
    let kinds = async |hold: &str, now: &str| -> Vec<Value> {
        api.travel(now).await;
        let found = pages(&api, &format!("order=asc&hold={hold}"), 2).await;
        found.into_iter().map(|entry| entry["kind"].clone()).collect()
    };
    let now = "2027-01-31T10:00:30Z";
    assert_eq!(kinds(&hold, now).await, ["hold", "capture", "release"]);
    assert_eq!(kinds(&other, now).await, ["hold"]);
    // The release of an expired hold is listed before it is written.
    assert_eq!(kinds(&other, "2027-01-31T10:01:00Z").await, ["hold", "release"]);
}

#[tokio::test]
async fn every_entry_of_a_hold_but_captures_has_its_reference() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let job = json!({ "credits": 100, "expires_in": 60, "reference": "job_9" });
    let hold = api.hold("t", "released", &job).await.json()["hold"]["id"].clone();
    let hold = hold.as_str().unwrap();
    api.hold("t", "expires", &job).await.json();
    api.capture("t", hold, "lead").await.ok();
    let released = api.release("t", hold, "done").await.ok();
    assert_eq!(released["hold"]["reference"], "job_9");
    assert_eq!(api.look("t", hold).await["reference"], "job_9");
    let listed = api.get(&member("t"), "/teams/t/holds").await.ok();
    assert_eq!(listed["holds"][0]["reference"], "job_9");
    api.travel("2027-01-31T10:01:00Z").await;
    // The expiry is listed before it is written and after it.
    for _ in 0..2 {
        let found = pages(&api, "order=asc&reference=job_9", 10).await;
        let mut kinds: Vec<_> = found.iter().filter_map(|entry| entry["kind"].as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["hold", "hold", "release", "release"]);
        let found = pages(&api, "kind=release", 10).await;
        assert!(found.iter().all(|release| release["reference"] == "job_9"), "{found:?}");
        api.run_schedule().await.ok();
    }
    let events = api.get("", "/dev/events?after=0").await.ok();
    let events = events["events"].as_array().unwrap();
    let expired = events.iter().find(|event| event["detail-type"] == "hold.expired").unwrap();
    assert_eq!(expired["detail"]["reference"], "job_9");
}

#[tokio::test]
async fn exports_the_history_as_csv() {
    let api = Api::start().await;
    let entries = nine_days_of_charges(&api).await;
    let csv = async |query: &str| {
        let url = format!("{}/teams/t/history{query}", api.stack.url());
        answer(api.http.get(url).bearer_auth(member("t")).header("accept", "text/csv")).await
    };
    let file = csv("?limit=1").await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(
        lines[0],
        "at,id,kind,credits,held,action,quantity,outcome,user,reference,hold,price_version,key"
    );
    assert_eq!(lines.len(), 1 + entries.len(), "all entries, without the limit of a page");
    for (line, entry) in lines[1..].iter().zip(&entries) {
        let start = format!(
            "{},{},{},{},0,",
            entry["at"].as_str().unwrap(),
            entry["id"].as_str().unwrap(),
            entry["kind"].as_str().unwrap(),
            entry["credits"]
        );
        assert!(line.starts_with(&start), "{line} is not {start}");
        if let Some(reference) = entry["reference"].as_str() {
            assert!(line.contains(&format!("\"{}\"", reference.replace('"', "\"\""))), "{line}");
        }
    }
    assert_eq!(csv("?kind=purchase").await.text.lines().count(), 2);
}

#[tokio::test]
async fn answers_with_csv_if_the_client_prefers_it() {
    let api = Api::start().await;
    api.team_with("t", 400).await;
    for (accept, is_csv) in [
        ("text/csv", true),
        ("TEXT/CSV", true),
        ("text/csv, */*", true),
        ("text/csv, application/json;q=0.9", true),
        ("application/json, text/csv;q=0.1", false),
        ("text/csv;q=0, application/json", false),
        ("text/csv;q=0", false),
        ("text/*", false),
        ("nonsense", false),
    ] {
        let url = format!("{}/teams/t/history", api.stack.url());
        let request = api.http.get(url).bearer_auth(member("t")).header("accept", accept);
        let media_type = answer(request).await.headers["content-type"].clone();
        assert_eq!(media_type == "text/csv; charset=utf-8", is_csv, "{accept}: {media_type:?}");
    }
}

#[tokio::test]
async fn escapes_formulas_in_csv() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let body =
        json!({ "action": "sms", "reference": "=HYPERLINK(\"http://evil\")", "user": "@SUM(1)" });
    api.post(&pipeline(), "/teams/t/charges", "k", &body).await.ok();
    let url = format!("{}/teams/t/history?kind=charge", api.stack.url());
    let file =
        answer(api.http.get(url).bearer_auth(member("t")).header("accept", "text/csv")).await;
    let line = file.text.lines().nth(1).unwrap().to_owned();
    assert!(line.contains(",'@SUM(1),\"'=HYPERLINK(\"\"http://evil\"\")\","), "{line}");
}

/// Makes charges with the longest texts, four bytes per character.
async fn long_charges(api: &Api, numbers: Range<usize>) {
    let text = |number: usize| format!("{number:05}{}", "\u{1f4b0}".repeat(250));
    let last = numbers.end;
    for first in numbers.step_by(500) {
        let charges: Vec<Value> = (first..last.min(first + 500))
            .map(|number| {
                json!({
                    "key": text(number), "action": "email_finder", "outcome": "not_found",
                    "reference": text(number), "user": "u".repeat(255),
                })
            })
            .collect();
        let body = json!({ "charges": charges });
        let path = "/teams/t/charges/batch";
        let done = api.send(Method::POST, path, &pipeline(), None, Some(&body)).await.ok();
        assert!(done["results"].as_array().unwrap().iter().all(|it| it["status"] == "charged"));
    }
}

#[tokio::test]
async fn the_largest_page_is_below_1_mb() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    long_charges(&api, 0..200).await;
    let page = api.get(&member("t"), "/teams/t/history?limit=200").await;
    assert_eq!(page.ok()["entries"].as_array().unwrap().len(), 200);
    assert!(page.text.len() < 1_000_000, "{} bytes", page.text.len());
    // A hold names no action twice, so its entry is not larger.
    let twice = json!({ "leads": 1, "actions": ["sms", "sms"] });
    api.hold("t", "twice", &twice).await.problem(400, "/problems/invalid-request");
}

/// A file is complete or refused with a problem: for its size, and for lack of time.
#[tokio::test]
async fn a_file_is_never_cut_short() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    long_charges(&api, 0..3_000).await;
    let csv = async |query: &str| {
        let url = format!("{}/teams/t/history{query}", api.stack.url());
        answer(api.http.get(url).bearer_auth(member("t")).header("accept", "text/csv")).await
    };
    let problem = csv("").await.problem(413, "/problems/too-large");
    assert!(problem["detail"].as_str().unwrap().contains("narrow the range"), "{problem}");
    let none = csv("?to=2027-01-31T09:00:00Z").await;
    assert_eq!((none.status, none.text.lines().count()), (200, 1), "the header");
    api.travel("2027-01-31T11:00:00Z").await;
    long_charges(&api, 3_000..5_000).await;
    let part = csv("?from=2027-01-31T11:00:00Z").await;
    assert_eq!((part.status, part.text.lines().count()), (200, 2_001));

    // With less time, less is tried; every answered file is complete.
    let mut statuses = BTreeSet::new();
    let mut time = Duration::from_millis(1);
    while !statuses.contains(&200) {
        let mut event = Event::new(
            &Method::GET,
            "/teams/t/history?from=2027-01-31T11:00:00Z",
            Some(&member("t")),
        );
        event.0["headers"]["accept"] = json!("text/csv");
        let answer = with_deadline(Some(time), api.request("balance", &event)).await;
        match answer.status {
            200 => assert_eq!(answer.text, part.text),
            413 => drop(answer.problem(413, "/problems/too-large")),
            // There was no time to read the pool.
            _ => drop(answer.problem(503, "/problems/busy")),
        }
        statuses.insert(answer.status);
        time *= 2;
    }
    assert!(statuses.contains(&413), "{statuses:?}");
}
