//! What the relay makes of the bus's answers, one by one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
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
use serde_json::{Value, json};
use shared::bus::{self, Bus};
use shared::store::{Store, connect};

/// Answers one call after the other, the last answer for ever, and keeps what was asked.
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

/// The table of a relay that has no statement to keep.
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

    /// The sequence numbers that are reported as failed.
    async fn relay(&self, records: &[Value]) -> Vec<String> {
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let batch = LambdaEvent::new(batch, Context::default());
        let answer = relay::handle(&no_table(), &self.bus(), batch).await.unwrap();
        let failures = answer.batch_item_failures.into_iter();
        failures.map(|failure| failure.item_identifier.unwrap()).collect()
    }

    /// The keys of the charges in each call.
    fn calls(&self) -> Vec<Vec<String>> {
        let key = |entry: &Value| {
            assert_eq!(
                (&entry["Source"], &entry["EventBusName"]),
                (&json!("credits"), &json!("credits"))
            );
            let detail: Value = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            detail["key"].as_str().unwrap().to_owned()
        };
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|entries| entries.iter().map(key).collect()).collect()
    }
}

/// The record of a charge with that key; its sequence number is the key.
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

const BUSY: Option<&str> = Some("ThrottlingException");
const REFUSED: Option<&str> = Some("NotAuthorizedForSourceException");

#[tokio::test(start_paused = true)]
async fn only_what_has_failed_is_sent_again() {
    let script = Script::new(&[answer(&[None, BUSY, None]), answer(&[BUSY]), answer(&[None])]);
    let records = ["1", "2", "3"].map(charge);
    assert!(script.relay(&records).await.is_empty());
    assert_eq!(script.calls(), [vec!["1", "2", "3"], vec!["2"], vec!["2"]]);
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_refuses_is_reported_at_once() {
    let script = Script::new(&[answer(&[None, REFUSED, REFUSED])]);
    assert_eq!(script.relay(&["1", "2", "3"].map(charge)).await, ["2", "3"]);
    assert_eq!(script.calls().len(), 1);
    let script = Script::new(&[json!({ "__type": "AccessDeniedException" })]);
    assert_eq!(script.relay(&["1", "2"].map(charge)).await, ["1", "2"]);
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_does_not_tell_of_has_not_arrived() {
    let script = Script::new(&[answer(&[None]), answer(&[])]);
    assert_eq!(script.relay(&["1", "2"].map(charge)).await, ["2"]);
    assert!(script.calls().len() > 5, "tried for as long as there is time");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_reported_and_all_else_is_sent() {
    let mut unknown = charge("2");
    unknown["dynamodb"]["NewImage"]["kind"] = json!({ "S": "wallet" });
    let mut without_image = charge("4");
    without_image["dynamodb"].as_object_mut().unwrap().remove("NewImage");
    let mut removed = without_image.clone();
    removed["eventName"] = json!("REMOVE");
    let mut before = charge("6");
    before["dynamodb"]["OldImage"] = unknown["dynamodb"]["NewImage"].clone();
    let records = [charge("1"), unknown, charge("3"), without_image, removed, before, charge("7")];
    let script = Script::new(&[answer(&[None, None, None])]);
    assert_eq!(script.relay(&records).await, ["2", "4", "6"]);
    assert_eq!(script.calls(), [["1", "3", "7"]]);
}

#[tokio::test(start_paused = true)]
async fn more_than_ten_events_are_more_than_one_call() {
    let script = Script::new(&[answer(&[None; 10])]);
    let records: Vec<Value> = (10..35).map(|number| charge(&number.to_string())).collect();
    assert!(script.relay(&records).await.is_empty());
    let mut sizes: Vec<_> = script.calls().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10]);
}

#[tokio::test]
async fn a_record_without_a_number_fails_the_batch() {
    let mut nameless = charge("1");
    nameless["dynamodb"].as_object_mut().unwrap().remove("SequenceNumber");
    let batch = serde_json::from_value(json!({ "Records": [nameless] })).unwrap();
    let bus = Script::new(&[answer(&[])]).bus();
    assert!(
        relay::handle(&no_table(), &bus, LambdaEvent::new(batch, Context::default()))
            .await
            .is_err()
    );
}
