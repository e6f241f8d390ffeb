//! The stack as a process: what it prints, that Ctrl-C ends it, that a kill loses nothing.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use reqwest::blocking::Client;
use serde_json::{Value, json};

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    url: String,
    token: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["--port", "0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("ready ").unwrap_or_else(|| panic!("{line:?}"));
        let mut process = Self { child, output, url: url.to_owned(), token: String::new() };
        process.token = process.line_with("export MEMBER=");
        process
    }

    /// The rest of the next line that starts so.
    fn line_with(&mut self, start: &str) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        lines.find_map(|line| line.strip_prefix(start).map(str::to_owned)).unwrap()
    }

    fn client(&self) -> Member {
        Member { http: Client::new(), url: self.url.clone(), token: self.token.clone() }
    }

    fn total(&self) -> u64 {
        let request = Client::new().get(format!("{}/teams/demo/credits", self.url));
        let balance: Value = request.bearer_auth(&self.token).send().unwrap().json().unwrap();
        balance["credits"]["total"].as_u64().unwrap()
    }
}

#[derive(Clone)]
struct Member {
    http: Client,
    url: String,
    token: String,
}

impl Member {
    /// Charges one credit. The status, if there was an answer.
    fn charge(&self, key: u32) -> Option<u16> {
        let request = self
            .http
            .post(format!("{}/teams/demo/charges", self.url))
            .bearer_auth(&self.token)
            .header("idempotency-key", key.to_string())
            .json(&json!({ "action": "linkedin_enrichment", "outcome": "found" }));
        request.send().ok().map(|answer| answer.status().as_u16())
    }
}

#[test]
fn it_tells_what_to_do_next_and_ctrl_c_ends_it() {
    let mut process = Process::start(&["--now", "2026-01-31T00:00:00Z", "--frozen"]);
    assert_eq!(process.client().charge(1), Some(201));
    assert!(process.line_with("curl ").contains("$URL/teams/demo/charges"));
    assert!(process.line_with("curl -iw '\\n' -X PUT ").contains("2026-02-28T00:00:00"));
    let interrupt = format!("kill -INT {}", process.child.id());
    let interrupted = Command::new("sh").args(["-c", &interrupt]).status();
    assert!(interrupted.unwrap().success());
    assert!(process.child.wait().unwrap().success());
}

/// What a stack says that does not start, on one line.
fn failure(options: &[&str]) -> String {
    let ended = Command::new(env!("CARGO_BIN_EXE_local")).args(options).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let told = String::from_utf8(ended.stderr).unwrap();
    let told = told.strip_prefix("credits: ").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(told.lines().count(), 1, "{told}");
    told.to_owned()
}

/// A directory of this test, empty.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn a_stack_that_does_not_start_tells_why_and_what_helps() {
    let data = directory("in-use");
    let data = data.to_str().unwrap();
    let process = Process::start(&["--data", data]);
    let port = process.url.rsplit(':').next().unwrap();
    for (option, remedy) in [("--port", "--port 0"), ("--dynamodb-port", "--dynamodb-port 0")] {
        let told = failure(&[option, port]);
        assert!(told.contains(&format!("port {port} ")) && told.contains(remedy), "{told}");
    }
    let told = failure(&["--port", "0", "--data", data]);
    assert!(told.contains("another stack uses the directory"), "{told}");
    drop(process);

    let file = directory("unusable").join("file");
    std::fs::write(&file, "text").unwrap();
    let told = failure(&["--port", "0", "--data", file.to_str().unwrap()]);
    assert!(told.contains("cannot be used") && told.contains("--data"), "{told}");

    for (name, content) in [("text", b"not a database".as_slice()), ("zeros", &[0; 8_192])] {
        let foreign = directory(name);
        let file = foreign.join("credits.db");
        std::fs::write(&file, content).unwrap();
        let told = failure(&["--port", "0", "--data", foreign.to_str().unwrap()]);
        assert!(told.contains("is no database of this stack"), "{told}");
        assert_eq!(std::fs::read(&file).unwrap(), content, "it is left as it was");
    }
}

/// Four clients charge until the process dies under them. What was answered is there afterwards,
/// and beyond it at most what was on its way.
#[test]
fn whatever_was_acknowledged_survives_a_kill() {
    const CLIENTS: u32 = 4;
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("survives");
    let _ = std::fs::remove_dir_all(&directory);
    let data = ["--data", directory.to_str().unwrap()];
    let mut acknowledged: Vec<u32> = Vec::new();
    let mut total = 400;
    for round in 0..3 {
        let mut process = Process::start(&data);
        assert_eq!(process.total(), total, "round {round}");
        let (answered, answers) = mpsc::channel();
        let client = process.client();
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (client, answered) = (client.clone(), answered.clone());
                scope.spawn(move || {
                    let mut keys = (1_000 * round + number..).step_by(CLIENTS as usize);
                    while let Some(key) = keys.next().filter(|key| client.charge(*key) == Some(201))
                    {
                        answered.send(key).unwrap();
                    }
                });
            }
            drop(answered);
            acknowledged.extend(answers.iter().take(20));
            process.child.kill().unwrap();
            acknowledged.extend(answers);
        });
        let process = Process::start(&data);
        let client = process.client();
        for key in &acknowledged {
            assert_eq!(client.charge(*key), Some(200), "a replay");
        }
        total = process.total();
        let spent = usize::try_from(400 - total).unwrap();
        let on_their_way = CLIENTS as usize * (round as usize + 1);
        assert!((acknowledged.len()..=acknowledged.len() + on_their_way).contains(&spent));
    }
}

/// A year of the demo team, from the events and the statements that it leads to.
#[test]
fn a_year_is_told() {
    let run = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["--now", "2027-01-31T00:00:00Z", "story"])
        .env("RUST_LOG", "off")
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let told = String::from_utf8(run.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    for line in [
        "2027-02-28  credits.refilled       credits 400 plan multichannel_expert",
        "2027-03-17  credits.gifted         credits 100",
        "2027-04-03  hold.expired           credits 50",
        "2027-05-31  credits.expired        credits 147 plan multichannel_expert",
        "2027-10-27  top-up.due             credits 90 below 100 top_up 300",
        "2027-10-27  credits.purchased      credits 300 top_up true",
    ] {
        assert!(lines.contains(&line), "{line} is not in\n{told}");
    }
    let times = |kind: &str| lines.iter().filter(|line| line.contains(kind)).count();
    let pauses = times("credits.depleted");
    assert!(pauses > 0);
    assert_eq!([times("enrichment.paused"), times("enrichment.restarted")], [pauses; 2]);
    // Each statement: granted, spent, of free, bought, gifted, lapsed.
    let statements: Vec<Vec<i64>> = lines
        .iter()
        .filter_map(|line| line.split_once(" to ")?.1.split_once(' '))
        .map(|(_, row)| row.split_whitespace().map(|number| number.parse().unwrap()).collect())
        .collect();
    assert_eq!(statements.len(), 12);
    let bought: i64 = statements.iter().map(|row| row[3]).sum();
    assert_eq!(bought, lines.iter().filter_map(|line| credits_of("purchased", line)).sum::<i64>());
    let granted: i64 = statements.iter().map(|row| row[0]).sum();
    // The last grant is that of the cycle that has no statement yet.
    let refilled: i64 = lines.iter().filter_map(|line| credits_of("refilled", line)).sum();
    assert_eq!(granted, refilled - 400);
    assert!(times("top-up.due") > 0);
    assert_eq!(times("top_up true"), times("top-up.due"));
    assert!(statements.iter().all(|row| row[2] + row[5] == row[0]), "{told}");
    assert!(lines.last().unwrap().ends_with("purchased credits are left"));
}

/// What a line says of credits that came in.
fn credits_of(kind: &str, line: &str) -> Option<i64> {
    let (_, credits) = line.split_once(&format!("credits.{kind}"))?;
    credits.split_whitespace().nth(1)?.parse().ok()
}
