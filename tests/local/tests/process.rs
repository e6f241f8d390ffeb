//! The binary `credits` as a process: its output, Ctrl-C, a kill, the story.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test panics on an unexpected value"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, mpsc};

use reqwest::blocking::Client;
use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;
use shared::domain::catalogue::prices::Price;
use shared::lambda::Clock;

/// The catalogue file of a product that makes images.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/catalogues/images.json");

/// The command with these options, the default log and the built-in catalogue.
fn built_in(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_credits"));
    command.args(options).env_remove("RUST_LOG").env_remove("CLICOLOR_FORCE");
    command
}

/// The command with the first version of the built-in catalogue. A later version does not change the results.
fn credits(options: &[&str]) -> Command {
    static FIRST: LazyLock<String> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-version.json");
        std::fs::write(&path, engine::catalogue_file(&[])).unwrap();
        path.to_str().unwrap().to_owned()
    });
    built_in(&[&["--catalogue", &FIRST], options].concat())
}

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The lines read so far.
    printed: Vec<String>,
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
        Self::spawn(credits(options).stderr(Stdio::null()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (printed, url, token) = (Vec::new(), String::new(), String::new());
        let mut process = Self { child, output, printed, url, token };
        process.url = process.line_with("ready ");
        assert_eq!(process.printed.len(), 1, "it is the first line");
        process.token = process.line_with("export MEMBER=");
        process
    }

    /// Returns the rest of the next line that has this prefix.
    fn line_with(&mut self, prefix: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no {prefix}");
            self.printed.push(line.trim_end().to_owned());
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// Sends Ctrl-C. Returns the lines of standard output, and standard error.
    fn interrupt(mut self) -> (Vec<String>, String) {
        let interrupt = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &interrupt]).status().unwrap().success());
        let mut lines = std::mem::take(&mut self.printed);
        lines.extend(self.output.by_ref().lines().map(Result::unwrap));
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(self.child.wait().unwrap().success());
        (lines, err)
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
    /// Charges one credit. Returns the status, or `None` without an answer.
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
fn prints_ready_running_parts_tokens_and_three_requests() {
    let process =
        Process::spawn(credits(&["--now", "2026-01-31", "--frozen"]).stderr(Stdio::piped()));
    let url = process.url.clone();
    // The relay has run after this answer, and has logged nothing.
    Client::new().get(format!("{url}/dev/events")).send().unwrap();
    let (mut lines, err) = process.interrupt();
    assert_eq!(err.lines().count(), 4, "the request, and the stop: {err}");
    lines.retain(|line| !line.is_empty());
    let expected = [
        &format!("ready {url}"),
        "# DynamoDB   http://127.0.0.1:",
        "# Event bus  http://127.0.0.1:",
        "# Clock      2026-01-31T00:00:00",
        "# For a second shell: the tokens ",
        &format!("export URL={url}"),
        "export ADMIN=ey",
        "export MEMBER=ey",
        "export PIPELINE=ey",
        "export BILLING=ey",
        "curl -iw '\\n' $URL/teams/demo/charges -H ",
        "curl -iw '\\n' $URL/teams/demo/purchases -H ",
        "curl -iw '\\n' $URL/teams/demo/credits -H ",
        "# More requests: cargo run -- requests, and shared/docs/REQUESTS.md. Ctrl-C ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line} instead of {expected}");
    }
}

#[test]
fn prints_one_plain_line_per_request_on_standard_error() {
    let process = Process::spawn(credits(&[]).stderr(Stdio::piped()));
    // The engine warns of the replay's cancelled transaction; the log leaves that out.
    assert_eq!([1, 1].map(|key| process.client().charge(key)), [Some(201), Some(200)]);
    let get = |path: &str| {
        let request = Client::new().get(format!("{}{path}", process.url));
        request.bearer_auth(&process.token).send().unwrap().status().as_u16()
    };
    assert_eq!([get("/team/credits"), get("/prices"), get("/none")], [200, 200, 404]);
    let (_, err) = process.interrupt();
    let lines: Vec<Vec<&str>> = err.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(err.starts_with("POST   /teams/demo/charges ") && err.contains("\nGET    /team/"));
    assert_eq!(lines.len(), 8, "five requests, and the stop: {err}");
    for (line, expected) in lines.iter().zip([
        ["POST", "/teams/demo/charges", "201", "demo"],
        ["POST", "/teams/demo/charges", "200", "demo"],
        ["GET", "/team/credits", "200", "demo"],
        ["GET", "/prices", "200", "demo"],
        ["GET", "/none", "404", "demo"],
    ]) {
        let [method, path, status, milliseconds, "ms", team] = line[..] else { panic!("{err}") };
        assert_eq!([method, path, status, team], expected);
        milliseconds.parse::<u64>().unwrap();
    }
    assert!(!err.contains('\u{1b}'), "no colour without a terminal: {err}");
}

#[test]
fn request_lines_and_story_have_colours_where_the_environment_forces_them() {
    let mut command = credits(&[]);
    let process = Process::spawn(command.env("CLICOLOR_FORCE", "1").stderr(Stdio::piped()));
    process.total();
    let (_, err) = process.interrupt();
    assert!(err.contains("\u{1b}[32m200\u{1b}[0m"), "{err:?}");
    let mut story = credits(&["story"]);
    let mut story = story.env("CLICOLOR_FORCE", "1").stdout(Stdio::piped()).spawn().unwrap();
    let mut heading = String::new();
    BufReader::new(story.stdout.take().unwrap()).read_line(&mut heading).unwrap();
    assert!(heading.starts_with("\u{1b}[1m"), "{heading:?}");
    assert!(story.wait().unwrap().success());
}

#[test]
fn ctrl_c_announces_the_stop_and_exits_with_success() {
    let (_, err) = Process::spawn(credits(&[]).stderr(Stdio::piped())).interrupt();
    assert_eq!(err, "\nstopping: waiting for open requests\nstopped\n");
}

#[test]
fn help_names_the_command_and_shows_examples() {
    let help = String::from_utf8(credits(&["--help"]).output().unwrap().stdout).unwrap();
    for text in ["Usage: credits [OPTIONS] [COMMAND]", "Examples:", "cargo run -- story"] {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
    for text in ["--stripe-key <KEY>", "cargo run -- --stripe-key sk_test_123 "] {
        assert!(help.contains(text), "{text} is not in\n{help}");
    }
}

/// The local stack takes no real money.
#[test]
fn a_key_of_the_live_mode_is_refused_before_the_start() {
    let ended = built_in(&["--port", "0", "--stripe-key", "sk_live_123"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stdout, b"");
    let error = String::from_utf8(ended.stderr).unwrap();
    assert!(error.contains("must be a key of the test mode: sk_test_… or rk_test_…"), "{error}");
}

/// Returns the one line that a stack prints which does not start.
fn failure(options: &[&str]) -> String {
    let ended = built_in(options).output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let error = String::from_utf8(ended.stderr).unwrap();
    let error = error.strip_prefix("credits: ").unwrap_or_else(|| panic!("{error}"));
    assert_eq!(error.lines().count(), 1, "{error}");
    error.to_owned()
}

/// Returns an empty directory for a test.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn the_catalogue_is_printed_with_its_changes_to_come() {
    let print =
        |options: &[&str]| String::from_utf8(built_in(options).output().unwrap().stdout).unwrap();
    let text = print(&["--catalogue", IMAGES, "catalogue", "--at", "2027-05-31"]);
    assert_eq!(
        text,
        "\
Version 2026-01, from 2026-01-01, on 2027-05-31

action            credits  unit                     charged    free
image                   8  image                    delivered  rejected failed  enrichment
upscale                 2  megapixel                delivered  failed
prompt_assistant        1  started_thousand_tokens  answered                    per started 1000 tokens, free with an own key

plan     credits  per   cadence
starter       40  team  once     trial
studio       300  seat  monthly  at most 200 a day per member for all actions, at most 400 a week per member for image

Cents per credit: 2 (eur). Credits of a purchase: 50 to 20000; offered: 100, 500, 2500.

From 2027-06-01, version 2027-06:
  action image: credits 8 -> 10
"
    );
    let text = print(&["--catalogue", IMAGES, "catalogue", "--at", "2027-06-01"]);
    assert!(text.starts_with("Version 2027-06,") && !text.contains("\nFrom "), "{text}");
    let text = print(&["--catalogue", IMAGES, "catalogue", "--at", "2025-12-31"]);
    let heading =
        "No version is in force on 2025-12-31.\n\nFrom 2026-01-01, version 2026-01:\n\naction ";
    assert!(text.starts_with(heading), "{text}");
    assert!(text.contains("\nFrom 2027-06-01, version 2027-06:\n"), "{text}");
    let text = print(&["catalogue"]);
    let catalogue = Catalogue::built_in().unwrap();
    let list = catalogue.at(Clock::system().now().day());
    assert!(text.starts_with(&format!("Version {}, from {}", list.version, list.effective)));
    for Price { name, .. } in &list.actions {
        assert!(text.contains(&format!("\n{name} ")), "{name} is not in\n{text}");
    }
}

#[test]
fn every_mistake_in_a_catalogue_file_is_reported() {
    let check = |path: &str| built_in(&["catalogue", "check", path]).output().unwrap();
    let valid = check(IMAGES);
    assert!(valid.status.success(), "{valid:?}");
    assert_eq!(String::from_utf8(valid.stdout).unwrap(), format!("{IMAGES}: no mistakes\n"));
    let file = directory("mistakes").join("catalogue.json");
    let path = file.to_str().unwrap();
    let text = std::fs::read_to_string(IMAGES).unwrap();
    std::fs::write(
        &file,
        text.replace("\"im\"", "\"image\"").replace("\"cents\": 2", "\"cents\": -2"),
    )
    .unwrap();
    let invalid = check(path);
    assert_eq!(invalid.status.code(), Some(1), "{invalid:?}");
    let lines = format!(
        "{path}:7:28: `cents` must be a whole number of cents from 1 on\n\
         {path}:11:19: `code` must be two lowercase letters, but neither as nor de\n"
    );
    assert_eq!(String::from_utf8(invalid.stdout).unwrap(), lines);
    let error = String::from_utf8(invalid.stderr).unwrap();
    assert_eq!(error, format!("credits: mistakes in {path}: 2\n"));
    let error = failure(&["--port", "0", "--catalogue", path]);
    assert!(error.starts_with(&format!("{path}:7:28: `cents` must be")), "{error}");
    std::fs::write(&file, b"{\n  \"\xff\"").unwrap();
    let invalid = String::from_utf8(check(path).stdout).unwrap();
    assert_eq!(invalid, format!("{path}:2:4: must be UTF-8\n"));
    assert!(failure(&["--catalogue", "none.json"]).contains("none.json cannot be read"));
}

#[test]
fn the_limits_of_purchases_in_the_environment_take_precedence() {
    let mut command = built_in(&["--catalogue", IMAGES]);
    let process = Process::spawn(command.env("PURCHASE_MINIMUM", "200").stderr(Stdio::null()));
    let request = Client::new().get(format!("{}/purchase-options", process.url));
    let options: Value = request.bearer_auth(&process.token).send().unwrap().json().unwrap();
    assert_eq!((&options["minimum"], &options["maximum"]), (&json!(200), &json!(20_000)));
    let presets: Vec<&Value> =
        options["presets"].as_array().unwrap().iter().map(|preset| &preset["credits"]).collect();
    assert_eq!(presets, [500, 2_500]);
    for (minimum, reason) in [("many", "must be a number"), ("20001", "at least the minimum")] {
        let mut command = built_in(&["--port", "0", "--catalogue", IMAGES]);
        let ended = command.env("PURCHASE_MINIMUM", minimum).output().unwrap();
        let error = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && error.contains(reason), "{error}");
    }
}

#[test]
fn the_stack_runs_on_the_catalogue_of_another_product() {
    let process = Process::spawn(built_in(&["--catalogue", IMAGES]).stderr(Stdio::null()));
    assert_eq!(process.total(), 300, "the grant of the plan studio");
    let (url, token) = (process.url.clone(), process.token.clone());
    let prices: Value = Client::new()
        .get(format!("{url}/prices"))
        .bearer_auth(token)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(prices["prices"][0]["action"], "image");
    let requests = built_in(&["--catalogue", IMAGES, "requests"]).output().unwrap();
    let requests = String::from_utf8(requests.stdout).unwrap();
    for text in [
        "# A charge of 8 credits.",
        r#"{"action":"image","outcome":"delivered"}"#,
        r#"{"credits":500}"#,
    ] {
        assert!(requests.contains(text), "{text} is not in\n{requests}");
    }
    let story = built_in(&["--catalogue", IMAGES, "story"]).output().unwrap();
    assert!(story.status.success() && story.stderr.is_empty(), "{story:?}");
    let story = String::from_utf8(story.stdout).unwrap();
    assert!(story.contains("billing starts the plan studio with 1 seat"), "{story}");
    assert!(
        story.contains("max charges image (4), upscale (1), prompt_assistant (2500)"),
        "{story}"
    );
    assert_eq!(story.matches(" to 20").count(), 12, "statements: {story}");
}

#[test]
fn a_failed_start_prints_the_reason_and_a_remedy() {
    let data = directory("in-use");
    let data = data.to_str().unwrap();
    let process = Process::start(&["--data", data]);
    let port = process.url.rsplit(':').next().unwrap();
    for (option, remedy) in [("--port", "--port 0"), ("--dynamodb-port", "--dynamodb-port 0")] {
        let error = failure(&[option, port]);
        assert!(error.contains(&format!("port {port} ")) && error.contains(remedy), "{error}");
    }
    let error = failure(&["--port", "0", "--data", data]);
    assert!(error.contains("another stack uses the directory"), "{error}");
    drop(process);

    let file = directory("unusable").join("file");
    std::fs::write(&file, "text").unwrap();
    let error = failure(&["--port", "0", "--data", file.to_str().unwrap()]);
    assert!(error.contains("cannot be used") && error.contains("--data"), "{error}");

    for (name, content) in [("text", b"not a database".as_slice()), ("zeros", &[0; 8_192])] {
        let foreign = directory(name);
        let file = foreign.join("credits.db");
        std::fs::write(&file, content).unwrap();
        let error = failure(&["--port", "0", "--data", foreign.to_str().unwrap()]);
        assert!(error.contains("is no database of this stack"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), content, "the file is unchanged");
    }
}

/// Four clients charge until the process is killed. Afterwards the database has all answered charges,
/// and at most one unanswered charge per client and round.
#[test]
fn acknowledged_charges_survive_a_kill() {
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
        let unanswered = CLIENTS as usize * (round as usize + 1);
        assert!((acknowledged.len()..=acknowledged.len() + unanswered).contains(&spent));
    }
}

#[test]
fn the_story_ends_quietly_when_its_reader_closes_the_output() {
    let mut story = credits(&["story"]);
    let mut story = story.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(story.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let ended = story.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

fn run_story() -> String {
    let run = credits(&["--now", "2027-01-31T00:00:00Z", "story"]).output().unwrap();
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn the_story_has_a_heading_causes_and_aligned_events() {
    let story = run_story();
    assert!(story.starts_with("A year of the team demo, from 2027-01-31\n"), "{story}");
    for lines in [
        "day         cause / event             change   left  details
2027-01-31  billing starts the plan multichannel_expert with 1 seat
2027-01-31    credits.refilled          +400         plan multichannel_expert
",
        "2027-02-28  a cycle ends
2027-02-28    credits.refilled          +400         plan multichannel_expert
",
        "2027-03-17  support gives 100 credits
2027-03-17    credits.gifted            +100
",
        "2027-05-11  billing adds a seat, now 2
2027-05-11    credits.refilled          +400         plan multichannel_expert
",
        "2027-05-31    credits.expired           -119         plan multichannel_expert
",
        "2027-08-19  billing cancels the plan; its free credits lapse at the end of the cycle
",
        "2027-10-22    top-up.due                         86  below 100, top_up 300
2027-10-22    credits.purchased         +300         top_up
",
        "
2027-04-01  the pipeline holds 50 credits for two days, and stops
2027-04-03  a hold expires and is returned
2027-04-03    hold.expired               +50
",
    ] {
        assert!(story.contains(lines), "{lines} is not in\n{story}");
    }
}

#[test]
fn the_events_of_the_story_add_up_to_its_statements() {
    let story = run_story();
    let lines: Vec<&str> = story.lines().collect();
    let times = |kind: &str| lines.iter().filter(|line| line.contains(kind)).count();
    let pauses = times("credits.depleted");
    assert!(pauses > 0);
    let restarts = times("ada restarts enrichment");
    assert_eq!([times("enrichment.paused"), times("enrichment.restarted"), restarts], [pauses; 3]);
    // Each statement: granted, spent, of free, bought, gifted, lapsed.
    let statements: Vec<Vec<i64>> = lines
        .iter()
        .filter_map(|line| line.split_once(" to 20")?.1.split_once(' '))
        .map(|(_, row)| row.split_whitespace().map(|number| number.parse().unwrap()).collect())
        .collect();
    assert_eq!(statements.len(), 12);
    let sum = |column: usize| statements.iter().map(|row| row[column]).sum::<i64>();
    let changes = |kind: &str| lines.iter().filter_map(|line| change(kind, line)).sum::<i64>();
    assert_eq!(sum(3), changes("purchased"));
    // The last grant belongs to the open cycle, which has no statement.
    assert_eq!(sum(0), changes("refilled") - 400);
    assert!(times("top-up.due") > 0);
    assert_eq!(lines.iter().filter(|line| line.ends_with("  top_up")).count(), times("top-up.due"));
    assert!(statements.iter().all(|row| row[2] + row[5] == row[0]), "{story}");
    assert_eq!(*lines.last().unwrap(), "left: 340 free and 350 purchased credits");
}

/// Returns the change in the line of an event of this kind.
fn change(kind: &str, line: &str) -> Option<i64> {
    let (_, columns) = line.split_once(&format!("credits.{kind}"))?;
    columns.split_whitespace().next()?.parse().ok()
}
