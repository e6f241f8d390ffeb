//! Outgoing events: each kind as documented in `events/schemas` and `events/outgoing`, and exactly
//! the events of the history.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use lambda_runtime::{Context, LambdaEvent};
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::ids::Id;
use shared::store::{Store, keys};

use crate::support::api::{Api, admin, billing, member, pipeline};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(name)
}

/// Reads the files of a folder by the event kind in their names.
fn by_kind(name: &str) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder(name)).unwrap();
    files
        .map(|file| {
            let path = file.unwrap().path();
            let kind = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (kind, serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect()
}

impl Api {
    /// The events after a position, and the next position.
    async fn events(&self, after: u64) -> (Vec<Value>, u64) {
        let mut answer = self.get("", &format!("/dev/events?after={after}")).await.ok();
        let events = answer["events"].as_array_mut().map(std::mem::take).unwrap();
        (events, answer["next"].as_u64().unwrap())
    }

    async fn gift(&self, team: &str, key: &str, body: &Value) -> Value {
        self.post(&billing(), &format!("/teams/{team}/gifts"), key, body).await.ok()
    }

    /// Causes events of every kind, and repeats requests that cause none.
    async fn cause_events(&self, team: &str) {
        self.charge_until_paused(team).await;
        self.add_credits(team).await;
        self.hold_until_a_reset(team).await;
        // The balance is below the threshold, and the card is declined.
        let top_up = json!({ "below": 50_000, "credits": 402, "monthly_limit": 402 });
        let settings = json!({ "low_balance_threshold": 346, "auto_top_up": top_up });
        self.put(&admin(team), &format!("/teams/{team}/settings"), &settings).await.ok();
        self.events(0).await;
        assert_eq!(self.buy(team, "order_3", 202).await.status, 202, "pending");
    }

    /// Causes a chargeback, and a payment for an account that was closed meanwhile.
    async fn cause_events_of_money(&self, team: &str) {
        let paid = self.buy(team, "order_1", 5_000).await.ok()["purchase"]["id"].clone();
        {
            let mut stripe = self.stack.account().account();
            let intent = stripe.intents().find(|intent| intent.metadata["purchase"] == paid);
            let intent = intent.unwrap().id.clone();
            assert!(stripe.dispute(&intent, 0));
        }
        self.events(0).await;
        let page =
            self.buy(team, "order_3", 202).await.ok()["purchase"]["next_action"]["url"].take();
        self.delete(&billing(), &format!("/teams/{team}?confirm={team}")).await.ok();
        assert_eq!(self.choose_on_page(&page, "confirm", "").await.0, 303);
    }

    async fn charge_until_paused(&self, team: &str) {
        self.subscribe(team, &json!({ "plan": "multichannel_expert" })).await;
        let settings = json!({ "low_balance_threshold": 346, "auto_top_up": null });
        self.put(&admin(team), &format!("/teams/{team}/settings"), &settings).await.ok();
        let find =
            json!({ "action": "email_finder", "outcome": "deliverable", "reference": "lead_42" });
        for _ in 0..2 {
            self.charge(team, "lead_42", &find).await.ok();
        }
        let phones = json!({ "action": "phone_finder", "outcome": "valid", "quantity": 100 });
        let watched = format!("/teams/{team}/monitored-accounts/globex");
        self.send(Method::PUT, &watched, &admin(team), None, None).await.ok();
        let restart = format!("/teams/{team}/enrichment/restart");
        // The remaining credits do not cover one phone.
        let all = self.hold(team, "all", &json!({ "credits": 340 })).await.ok();
        for _ in 0..2 {
            // The keys of refused charges are used again and refused again.
            let phones = self.charge(team, "phones", &phones).await;
            phones.problem(402, "/problems/insufficient-credits");
            let again = self.charge(team, "lead_45", &find).await;
            again.problem(409, "/problems/enrichment-paused");
            self.send(Method::POST, &restart, &member(team), None, None).await.ok();
        }
        let all = all["hold"]["id"].as_str().unwrap();
        self.release(team, all, "all again").await.ok();
        let nothing = json!({ "action": "email_finder", "outcome": "not_found" });
        self.charge(team, "lead_43", &nothing).await.ok();
    }

    async fn add_credits(&self, team: &str) {
        let gift = json!({ "credits": 100, "reference": "ticket_7" });
        for _ in 0..2 {
            self.gift(team, "ticket_7", &gift).await;
        }
        for _ in 0..2 {
            self.buy(team, "order_1", 5_000).await.ok();
            self.buy(team, "order_2", 402).await.problem(402, "/problems/payment-failed");
        }
    }

    /// One hold expires, one is released, and two are released after a reset.
    async fn hold_until_a_reset(&self, team: &str) {
        let hold = async |key: &str, seconds: u32| {
            let body = json!({ "credits": 50, "expires_in": seconds, "reference": "job_9" });
            let held = self.hold(team, key, &body).await.ok();
            held["hold"]["id"].as_str().unwrap().to_owned()
        };
        let expires = hold("job_9", 60).await;
        let released = hold("job_10", 60).await;
        let late = hold("job_11", 40 * 24 * 60 * 60).await;
        let capture =
            json!({ "action": "email_finder", "outcome": "risky", "hold": expires, "user": "max" });
        self.charge_by_pipeline(team, "lead_44", &capture).await.ok();
        self.release(team, &released, "done").await.ok();
        let most = self.balance(team).await["credits"]["total"].as_u64().unwrap() - 50;
        let days = json!({ "credits": most, "expires_in": 40 * 24 * 60 * 60 });
        let most = self.hold(team, "most", &days).await.ok();
        let much = json!({ "action": "signal_merger", "outcome": "identified" });
        self.charge(team, "much", &much).await.problem(402, "/problems/insufficient-credits");
        for then in ["2027-01-31T10:01:00Z", "2027-02-28T00:00:00Z"] {
            self.travel(then).await;
            self.run_schedule().await.ok();
        }
        for (hold, key) in [(most["hold"]["id"].as_str().unwrap(), "most"), (&late, "late")] {
            self.release(team, hold, &format!("end {key}")).await.ok();
        }
    }
}

/// Removes the fields that EventBridge or the local stack adds.
fn without_delivery(mut event: Value) -> Value {
    for field in ["position", "id", "account"] {
        event.as_object_mut().unwrap().remove(field);
    }
    let detail = event["detail"].as_object_mut().unwrap();
    if !detail.contains_key("entry") && !detail.contains_key("purchase") {
        // This id derives from the stream position, which the engine numbers by time.
        detail.remove("id");
    }
    event
}

fn names(object: &Value) -> BTreeSet<&String> {
    object.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn each_kind_of_event_matches_its_schema_and_sample() {
    let api = Api::start().await;
    api.cause_events("acme").await;
    api.cause_events_of_money("acme").await;
    let (schemas, samples) = (by_kind("schemas"), by_kind("outgoing"));
    let mut first = BTreeMap::new();
    for event in api.events(0).await.0 {
        let kind = event["detail-type"].as_str().unwrap().to_owned();
        let schema = schemas.get(&kind).unwrap_or_else(|| panic!("{kind} has no schema"));
        jsonschema::meta::validate(schema).unwrap();
        let schema_of = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
        schema_of.validate(&event).unwrap_or_else(|error| panic!("{error}: {event}"));
        let declared = &schema["properties"]["detail"]["properties"];
        assert_eq!(names(&event["detail"]), names(declared), "{kind}");
        if event["detail"]["team"] == "acme" {
            first.entry(kind).or_insert(without_delivery(event));
        }
    }
    assert!(schemas.keys().eq(first.keys()), "{:?} were published", first.keys());
    let samples: BTreeMap<_, _> =
        samples.into_iter().map(|(kind, sample)| (kind, without_delivery(sample))).collect();
    assert_eq!(first, samples);
}

/// Every event is published once, none is missing, and ids derive from their sources.
#[tokio::test]
async fn the_published_events_are_those_of_the_history() {
    let api = Api::start().await;
    api.cause_events("acme").await;
    let (events, _) = api.events(0).await;
    let published: HashMap<&str, &Value> = events
        .iter()
        .map(|event| &event["detail"])
        .filter(|detail| detail["team"] == "acme" && !detail["entry"].is_null())
        .map(|detail| (detail["id"].as_str().unwrap(), detail))
        .collect();
    let history = api.history("acme").await;
    let expected: BTreeSet<String> = history
        .iter()
        .filter_map(|entry| {
            let is_expiry = entry["hold"].is_string() && entry["held"] == -45;
            let kind = match entry["kind"].as_str().unwrap() {
                "charge" | "capture" => "credits.charged",
                "purchase" => "credits.purchased",
                "gift" => "credits.gifted",
                "grant" => "credits.refilled",
                "expiry" => "credits.expired",
                "release" if is_expiry => "hold.expired",
                _ => return None,
            };
            let source = format!("{kind}#{}", entry["id"].as_str().unwrap());
            Some(Id::of("ev", &"acme".parse().unwrap(), &source).to_string())
        })
        .collect();
    assert_eq!(expected.len(), 11, "{history:?}");
    let count = |kind: &str| {
        let is_one =
            |event: &&Value| event["detail-type"] == kind && event["detail"]["team"] == "acme";
        events.iter().filter(is_one).count()
    };
    // Enrichment was paused three times and restarted twice.
    for (kind, times) in [
        ("credits.low", 2),
        ("credits.refused", 3),
        ("credits.depleted", 3),
        ("enrichment.paused", 3),
        ("enrichment.restarted", 2),
        ("monitoring.paused", 1),
        ("purchase.failed", 2),
        ("top-up.due", 1),
    ] {
        assert_eq!(count(kind), times, "{kind}");
    }
    assert_eq!(published.keys().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), expected);
    for entry in &history {
        let Some(detail) = published.values().find(|detail| detail["entry"] == entry["id"]) else {
            continue;
        };
        let moved = if entry["kind"] == "release" { &entry["held"] } else { &entry["credits"] };
        assert_eq!(detail["credits"].as_u64().unwrap(), moved.as_i64().unwrap().unsigned_abs());
        assert_eq!(detail["at"], entry["at"]);
    }
}

#[tokio::test]
async fn reads_events_from_a_position() {
    let api = Api::start().await;
    let (before, next) = api.events(0).await;
    assert_eq!(before.len() as u64, next);
    api.team_with("t", 3_000).await;
    let find = |n: u32| json!({ "key": format!("lead {n}"), "action": "email_finder", "outcome": "risky" });
    let charges: Vec<Value> = (0..450).map(find).collect();
    let body = json!({ "charges": charges });
    api.send(Method::POST, "/teams/t/charges/batch", &pipeline(), None, Some(&body)).await.ok();
    let (events, end) = api.events(next).await;
    assert_eq!((events.len(), end), (451, next + 451), "events of answered requests are published");
    let positions: Vec<_> =
        events.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert!(positions.iter().copied().eq(next + 1..=end), "{positions:?}");
    assert_eq!(api.events(end).await, (Vec::new(), end));
}

impl Api {
    /// Writes an entry that has keys only. Returns its partition key.
    async fn write_unreadable_entry(&self) -> &'static str {
        let partition = "ENTRY#t#key#bad";
        let client = self.stack.engine().client();
        let put = client.put_item().table_name(engine::TABLE);
        let put = put.item("pk", keys::text(partition)).item("sk", keys::text("ENTRY"));
        put.send().await.unwrap();
        partition
    }

    /// Relays the whole stream again with `store`. Returns the keys of the records reported as
    /// failed.
    async fn relay_all_again(&self, store: &Store) -> Vec<String> {
        let mut stream = self.stack.engine().records().unwrap();
        let read =
            std::iter::from_fn(|| Some(stream.read().unwrap()).filter(|read| !read.is_empty()));
        let records: Vec<Value> = read.flatten().collect();
        let batch = serde_json::from_value(json!({ "Records": records })).unwrap();
        let batch = LambdaEvent::new(batch, Context::default());
        let bus = self.stack.eventbridge().bus();
        let failures = relay::handle(store, &bus, batch).await.unwrap().batch_item_failures;
        let failed: Vec<_> =
            failures.into_iter().map(|failure| failure.item_identifier.unwrap()).collect();
        let key = |record: &Value| {
            let is_failed =
                failed.iter().any(|number| record["dynamodb"]["SequenceNumber"] == **number);
            is_failed.then(|| record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned())
        };
        records.iter().filter_map(key).collect()
    }

    /// Ends the first cycle of the demo team. Returns the position after its events.
    async fn end_a_cycle(&self) -> u64 {
        self.travel("2027-02-28T00:00:00Z").await;
        self.run_schedule().await.ok();
        self.events(0).await.1
    }
}

#[tokio::test]
async fn an_unreadable_record_goes_to_its_queue_and_delays_no_event() {
    let api = Api::start().await;
    let (_, next) = api.events(0).await;
    let partition = api.write_unreadable_entry().await;
    api.team_with("t", 100).await;
    let answer = api.get("", &format!("/dev/events?after={next}")).await.ok();
    let [unreadable] = answer["given_up"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(unreadable["detail-type"], "record.unreadable");
    assert_eq!(unreadable["detail"]["keys"]["pk"]["S"], partition);
    let [refilled] = answer["events"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!(refilled["detail-type"], "credits.refilled");
    assert_eq!((&refilled["position"], &answer["next"]), (&json!(next + 1), &json!(next + 1)));
}

#[tokio::test]
async fn a_record_whose_statement_cannot_be_written_is_handed_over_and_its_events_are_published() {
    let api = Api::start().await;
    let next = api.end_a_cycle().await;
    let no_such_table = Store::new(api.stack.engine().client(), "nowhere");
    assert_eq!(api.relay_all_again(&no_such_table).await, [] as [&str; 0]);
    let answer = api.get("", &format!("/dev/events?after={next}")).await.ok();
    assert_eq!(answer["events"].as_array().unwrap().len() as u64, next, "all events again");
    let [handed_over] = answer["given_up"].as_array().unwrap().as_slice() else {
        panic!("{answer}")
    };
    assert_eq!(handed_over["detail"]["keys"]["pk"]["S"], "TEAM#demo");
    assert!(handed_over["detail"]["record"]["dynamodb"]["OldImage"].is_object(), "{handed_over}");
}

#[tokio::test]
async fn a_record_is_reported_if_the_store_is_too_busy_for_its_statement() {
    let api = Api::start().await;
    let next = api.end_a_cycle().await;
    let client = Client::from_conf(engine::config("http://127.0.0.1:1").build());
    let unreachable = Store::new(client, engine::TABLE).with_retry_time(Duration::from_millis(50));
    assert_eq!(api.relay_all_again(&unreachable).await, ["TEAM#demo"]);
    let answer = api.get("", &format!("/dev/events?after={next}")).await.ok();
    assert_eq!(answer["given_up"], json!([]));
}
