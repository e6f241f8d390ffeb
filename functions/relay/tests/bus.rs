//! The relay's handling of the bus's answers.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Region;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use lambda_runtime::{Context, LambdaEvent};
use relay::unreadable::{KIND, SOURCE};
use serde_json::{Value, json};
use shared::bus::{self, Bus};
use shared::store::{Store, connect};
use tokio::time::Instant;

/// Answers calls from a list, repeats the last answer, and records the requests.
#[derive(Clone, Debug)]
struct Script {
    answers: Arc<Mutex<VecDeque<Value>>>,
    calls: Arc<Mutex<Vec<Vec<Value>>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.calls.lock().unwrap().push(body["Entries"].as_array().unwrap().clone());
        let mut answers = self.answers.lock().unwrap();
        let answer = answers.pop_front().unwrap();
        if answers.is_empty() {
            answers.push_back(answer.clone());
        }
        let status = if answer["__type"].is_null() { 200_u16 } else { 400 };
        let answer = SdkBody::from(answer.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), answer)))
    }
}

/// The table of a relay without statements to keep.
fn no_table() -> Store {
    let config = connect::config().region(Region::new("eu-west-1")).build();
    Store::new(aws_sdk_dynamodb::Client::from_conf(config), "credits")
}

impl Script {
    fn new(answers: &[Value]) -> Self {
        let answers = Arc::new(Mutex::new(answers.iter().cloned().collect()));
        Self { answers, calls: Arc::default() }
    }

    fn bus(&self) -> Bus {
        let connector = SharedHttpConnector::new(self.clone());
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = bus::config()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Bus::new(Client::from_conf(config.build()), "credits")
    }

    /// Returns the sequence numbers that are reported as failed.
    async fn try_relay(&self, records: &[Value]) -> Result<Vec<String>, lambda_runtime::Error> {
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let batch = LambdaEvent::new(batch, Context::default());
        let answer = relay::handle(&no_table(), &self.bus(), batch).await?;
        let failures = answer.batch_item_failures.into_iter();
        Ok(failures.map(|failure| failure.item_identifier.unwrap()).collect())
    }

    async fn relay(&self, records: &[Value]) -> Vec<String> {
        self.try_relay(records).await.unwrap()
    }

    /// The keys of the charges in each call, and the sequence numbers of unreadable records in brackets.
    fn calls(&self) -> Vec<Vec<String>> {
        let name = |entry: &Value| {
            assert_eq!(entry["EventBusName"], "credits");
            let detail = detail(entry);
            match entry["Source"].as_str().unwrap() {
                "credits" => detail["key"].as_str().unwrap().to_owned(),
                "credits.relay" => {
                    format!("({})", detail["sequence_number"].as_str().unwrap_or("no number"))
                }
                other => panic!("{other}"),
            }
        };
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|entries| entries.iter().map(name).collect()).collect()
    }

    /// The only entry of the only call.
    fn entry(&self) -> Value {
        let calls = self.calls.lock().unwrap();
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [1]);
        calls[0][0].clone()
    }
}

fn detail(entry: &Value) -> Value {
    serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
}

/// The record of a charge with a key, which is also its sequence number.
fn charge(key: &str) -> Value {
    let text = |text: &str| json!({ "S": text });
    json!({
        "eventID": key,
        "eventName": "INSERT",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "Keys": { "pk": text(&format!("ENTRY#t#key#{key}")), "sk": text("ENTRY") },
            "NewImage": {
                "pk": text(&format!("ENTRY#t#key#{key}")),
                "sk": text("ENTRY"),
                "history": text("t#0"),
                "id": text(&format!("e_{key}")),
                "team": text("t"),
                "kind": text("charge"),
                "at": text("2027-01-31T10:00:00.000Z"),
                "credits": { "N": "-5" },
                "key": text(key),
                "action": text("email_finder"),
                "quantity": { "N": "1" },
                "outcome": text("risky"),
                "own_key": { "BOOL": false },
                "price_version": text("1"),
            },
            "SequenceNumber": key,
            "SizeBytes": 100,
        },
    })
}

fn answer(codes: &[Option<&str>]) -> Value {
    let result = |code: Option<&str>| match code {
        None => json!({ "EventId": "1" }),
        Some(code) => json!({ "ErrorCode": code }),
    };
    json!({ "Entries": codes.iter().copied().map(result).collect::<Vec<_>>() })
}

fn denied() -> Value {
    json!({ "__type": "AccessDeniedException" })
}

const BUSY: Option<&str> = Some("ThrottlingException");
const REFUSED: Option<&str> = Some("NotAuthorizedForSourceException");

#[tokio::test(start_paused = true)]
async fn sends_only_failed_entries_again() {
    let script = Script::new(&[answer(&[None, BUSY, None]), answer(&[BUSY]), answer(&[None])]);
    let records = ["1", "2", "3"].map(charge);
    assert!(script.relay(&records).await.is_empty());
    assert_eq!(script.calls(), [vec!["1", "2", "3"], vec!["2"], vec!["2"]]);
}

#[tokio::test(start_paused = true)]
async fn retries_any_error_of_the_bus() {
    let script = Script::new(&[
        denied(),
        answer(&[REFUSED, None, REFUSED]),
        denied(),
        answer(&[None, REFUSED]),
        answer(&[None]),
    ]);
    assert!(script.relay(&["1", "2", "3"].map(charge)).await.is_empty());
    let all = vec!["1", "2", "3"];
    assert_eq!(script.calls(), [all.clone(), all, vec!["1", "3"], vec!["1", "3"], vec!["3"]]);
}

#[tokio::test(start_paused = true)]
async fn reports_the_records_that_the_bus_does_not_take_within_four_minutes() {
    for (first, then, failed) in [
        (answer(&[None, REFUSED, REFUSED]), answer(&[REFUSED; 2]), &["2", "3"][..]),
        (denied(), denied(), &["1", "2", "3"][..]),
    ] {
        let (script, start) = (Script::new(&[first, then]), Instant::now());
        assert_eq!(script.relay(&["1", "2", "3"].map(charge)).await, failed);
        let waited = start.elapsed().as_secs();
        assert!((230..=240).contains(&waited), "{waited} s");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_the_answer_lacks_was_not_taken() {
    let script = Script::new(&[answer(&[None]), answer(&[])]);
    assert_eq!(script.relay(&["1", "2"].map(charge)).await, ["2"]);
    assert!(script.calls().len() > 5, "tried for as long as there is time");
}

#[tokio::test(start_paused = true)]
async fn hands_unreadable_records_over_and_reports_none() {
    let mut bad_credits = charge("2");
    bad_credits["dynamodb"]["NewImage"]["credits"] = json!({ "S": "wallet" });
    let mut no_image = charge("4");
    no_image["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    let mut removed = no_image.clone();
    removed["eventName"] = json!("REMOVE");
    let mut unreadable_before = charge("5");
    unreadable_before["dynamodb"]["OldImage"] = bad_credits["dynamodb"]["NewImage"].clone();
    let mut unknown_type = charge("6");
    unknown_type["dynamodb"]["NewImage"]["kind"] = json!({ "T": "charge" });
    let mut no_number = charge("8");
    no_number["dynamodb"].as_object_mut().unwrap().remove("SequenceNumber");
    let records = [
        charge("1"),
        bad_credits,
        charge("3"),
        no_image,
        removed,
        unreadable_before,
        unknown_type,
        charge("7"),
        no_number,
        Value::Null,
    ];
    let script = Script::new(&[answer(&[None; 9])]);
    assert!(script.relay(&records).await.is_empty());
    let sent = ["1", "(2)", "3", "(4)", "(5)", "(6)", "7", "(no number)", "(no number)"];
    assert_eq!(script.calls(), [sent]);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_is_handed_over_with_its_number_keys_error_and_images() {
    let mut record = charge("2");
    record["dynamodb"]["NewImage"]["credits"] = json!({ "S": "wallet" });
    let script = Script::new(&[answer(&[None])]);
    assert!(script.relay(std::slice::from_ref(&record)).await.is_empty());
    let entry = script.entry();
    assert_eq!((&entry["Source"], &entry["DetailType"]), (&json!(SOURCE), &json!(KIND)));
    let detail = detail(&entry);
    assert_eq!(detail["sequence_number"], "2");
    assert_eq!(detail["keys"], record["dynamodb"]["Keys"]);
    assert!(detail["error"].as_str().unwrap().contains("Expected num"), "{detail}");
    assert_eq!(detail["record"], record);
}

#[tokio::test(start_paused = true)]
async fn a_large_unreadable_record_is_handed_over_without_its_images() {
    let mut record = charge("2");
    record["dynamodb"]["NewImage"]["credits"] = json!({ "S": "wallet".repeat(20_000) });
    record["dynamodb"]["OldImage"] = json!({ "note": { "S": "x".repeat(200_000) } });
    let script = Script::new(&[answer(&[None])]);
    assert!(script.relay(std::slice::from_ref(&record)).await.is_empty());
    let entry = script.entry();
    assert!(entry.to_string().len() < 10_000, "{entry}");
    let detail = detail(&entry);
    assert_eq!(
        (&detail["sequence_number"], &detail["record"]["eventID"]),
        (&json!("2"), &json!("2"))
    );
    assert_eq!(detail["keys"], record["dynamodb"]["Keys"]);
    let change = &detail["record"]["dynamodb"];
    assert_eq!(change["SizeBytes"], record["dynamodb"]["SizeBytes"]);
    assert!(change["NewImage"].is_null() && change["OldImage"].is_null(), "{change}");
}

#[tokio::test(start_paused = true)]
async fn reports_an_unreadable_record_that_the_bus_does_not_take() {
    let mut unreadable = charge("2");
    unreadable["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    let script = Script::new(&[answer(&[None, REFUSED, None]), answer(&[REFUSED])]);
    assert_eq!(script.relay(&[charge("1"), unreadable, charge("3")]).await, ["2"]);
}

#[tokio::test(start_paused = true)]
async fn sends_more_than_ten_events_in_several_calls() {
    let script = Script::new(&[answer(&[None; 10])]);
    let records: Vec<Value> = (10..35).map(|number| charge(&number.to_string())).collect();
    assert!(script.relay(&records).await.is_empty());
    let mut sizes: Vec<_> = script.calls().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn fails_if_the_bus_does_not_take_a_record_without_a_sequence_number() {
    let mut no_number = charge("1");
    no_number["dynamodb"].as_object_mut().unwrap().remove("SequenceNumber");
    let script = Script::new(&[answer(&[REFUSED]), answer(&[None])]);
    assert_eq!(script.relay(std::slice::from_ref(&no_number)).await, [] as [&str; 0]);
    let script = Script::new(&[answer(&[REFUSED])]);
    assert!(script.try_relay(&[no_number]).await.is_err());
}
