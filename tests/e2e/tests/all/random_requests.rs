//! Random requests and events at the entry point of each function: none causes a fault, and a
//! refusal changes nothing.

use std::cell::RefCell;
use std::fmt::Debug;

use engine::TABLE;
use lambda_http::{Context, LambdaEvent};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{TestCaseError, TestCaseResult, TestRunner};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::api::Api;
use crate::support::random_json::{any_json, change, changed};
use crate::support::random_request::hostile;

/// Statuses after which the table is unchanged.
const CHANGE_NOTHING: [u16; 9] = [400, 401, 403, 404, 405, 413, 415, 422, 429];

/// Statuses after which the team was not charged.
const CHARGE_NOTHING: [u16; 2] = [402, 409];

impl Api {
    /// All items of the table.
    async fn table(&self) -> Vec<String> {
        let client = self.stack.engine().client();
        let mut pages = client.scan().table_name(TABLE).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            let item: Value = serde_dynamo::from_item(item.unwrap()).unwrap();
            items.push(item.to_string());
        }
        items.sort();
        items
    }

    /// Waits until the relay has published everything and automatic top-ups are done.
    async fn comes_to_rest(&self) {
        let mut description = None;
        loop {
            let next = self.get("", "/dev/events").await.ok()["next"].clone();
            if description.as_ref() == Some(&next) {
                return;
            }
            description = Some(next);
        }
    }

    /// The team's credits and its number of charges.
    async fn paid(&self) -> (Value, usize) {
        let is_charge = |entry: &&Value| entry["kind"] == "charge" || entry["kind"] == "capture";
        let charges = self.history("t").await.iter().filter(is_charge).count();
        (self.balance("t").await["credits"].clone(), charges)
    }

    async fn with_a_team() -> Self {
        let api = Self::start().await;
        api.team_with("t", 1_000).await;
        api
    }
}

fn check(is_true: bool, what: impl FnOnce() -> String) -> TestCaseResult {
    if is_true { Ok(()) } else { Err(TestCaseError::fail(what())) }
}

/// Runs `factor` times `PROPTEST_CASES` cases on one stack; by default a number for a fast run.
fn each<T: Debug>(
    factor: u32,
    strategy: impl Strategy<Value = T>,
    test: &impl AsyncFn(&mut Api, T) -> TestCaseResult,
) {
    let is_set = std::env::var("PROPTEST_CASES").is_ok();
    let cases = if is_set { ProptestConfig::default().cases } else { 80 } * factor;
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = Runtime::new().unwrap();
    let api = RefCell::new(runtime.block_on(Api::with_a_team()));
    let run = |input| runtime.block_on(test(&mut api.borrow_mut(), input));
    TestRunner::new(config).run(&strategy, run).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_refused_random_request_changes_nothing() {
    each(2, hostile(), &async |api, input| {
        let (function, event) = input.event();
        api.comes_to_rest().await;
        let (paid, table) = (api.paid().await, api.table().await);
        let answer = api.request(&function, &event).await;
        let status = answer.status;
        check(status < 500, || format!("{function} {}: {answer:?}", event.0))?;
        if CHANGE_NOTHING.contains(&status) {
            let is_same = api.table().await == table;
            check(is_same, || format!("{status} for {} changed the table", event.0))?;
        }
        if CHARGE_NOTHING.contains(&status) {
            let is_same = api.paid().await == paid;
            check(is_same, || format!("{status} for {} was charged", event.0))?;
        }
        if api.balance("t").await["account"] == "closed" {
            *api = Api::with_a_team().await;
        }
        Ok(())
    });
}

/// Samples of direct invocations and messages.
const MESSAGES: [(&str, &str); 6] = [
    ("charge", include_str!("../../../../events/charge-direct.json")),
    ("charge", include_str!("../../../../events/charge-queued.json")),
    ("team", include_str!("../../../../events/subscription-changed.json")),
    ("team", include_str!("../../../../events/subscription-cancelled.json")),
    ("team", include_str!("../../../../events/account-closed.json")),
    ("purchase", include_str!("../../../../events/top-up-due.json")),
];

/// A refused message is an error, so it is delivered again and finally kept. A refused direct
/// invocation has an answer.
#[test]
fn a_refused_random_message_changes_nothing() {
    let message = (any::<Index>(), vec(change(), 0..4), weighted(0.2, any_json()));
    each(2, message, &async |api, (at, changes, instead)| {
        let (function, sample) = at.get(&MESSAGES);
        let sample = || changed(serde_json::from_str(sample).unwrap(), &changes);
        let message = instead.unwrap_or_else(sample);
        api.comes_to_rest().await;
        let table = api.table().await;
        let answer = api.invoke(function, &message).await;
        let description = format!("{function} {message}: {answer:?}");
        let problem = match &answer {
            Ok(answer) => answer["problem"].clone(),
            Err(error) => serde_json::from_str(error).unwrap_or_default(),
        };
        let status = problem["status"].as_u64();
        check(status.is_none_or(|status| status < 500), || description.clone())?;
        let is_refused = answer.is_err() || status.is_some();
        let is_same = !is_refused || api.table().await == table;
        check(is_same, || format!("{description} changed the table"))
    });
}

/// A changed event of the schedule or the stream changes nothing that is not due.
#[test]
fn a_random_event_of_the_schedule_or_the_stream_changes_nothing() {
    let schedule = include_str!("../../../../events/refill.json");
    let stream = include_str!("../../../../events/relay.json");
    let event = (any::<bool>(), vec(change(), 0..4));
    each(1, event, &async |api, (is_schedule, changes)| {
        let app = api.stack.app();
        let sample = serde_json::from_str(if is_schedule { schedule } else { stream }).unwrap();
        let event = changed(sample, &changes);
        let is_statement = |item: &String| item.contains("CYCLE#");
        let table = async || {
            let items = api.table().await;
            items.into_iter().filter(|item| !is_statement(item)).collect::<Vec<_>>()
        };
        api.comes_to_rest().await;
        let before = table().await;
        if !is_schedule && let Ok(batch) = serde_json::from_value(event.clone()) {
            let (bus, batch) =
                (api.stack.eventbridge().bus(), LambdaEvent::new(batch, Context::default()));
            let done = relay::handle(&app.store, &bus, batch).await;
            check(done.is_ok(), || format!("{event}: {done:?}"))?;
        } else if is_schedule && let Ok(schedule) = serde_json::from_value(event.clone()) {
            let schedule = LambdaEvent::new(schedule, Context::default());
            let done = refill::handle(app, schedule).await;
            check(done.is_ok(), || format!("{event}: {done:?}"))?;
        }
        check(table().await == before, || format!("{event} changed the table"))
    });
}
