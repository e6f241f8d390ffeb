//! The sample events in `events`, sent to their functions.

use std::collections::BTreeSet;
use std::path::PathBuf;

use lambda_http::{Context, LambdaEvent};
use local::purchase_state;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::http::serve;
use shared::lambda::App;

use crate::support::api::Api;
use crate::support::template::router;

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"))
}

fn event(name: &str) -> String {
    std::fs::read_to_string(directory().join(format!("{name}.json"))).unwrap()
}

/// Returns the status and the body of the answer of a function to a sample.
async fn http(app: &App, name: &str) -> (u64, Value) {
    let payload = RawValue::from_string(event(name)).unwrap();
    let event = LambdaEvent::new(payload, Context::default());
    let function = match name {
        "hold" | "hold-release" => "hold",
        "balance" | "estimate" | "history" | "prices" => "balance",
        "health" | "docs" | "unmatched" => "panel",
        _ => "team",
    };
    let answer = serve::answer(&router(function, app.clone()), event).await;
    unpacked(&serde_json::from_str(answer.unwrap().get()).unwrap())
}

fn unpacked(answer: &Value) -> (u64, Value) {
    let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    (answer["statusCode"].as_u64().unwrap(), body)
}

async fn to_charge(api: &Api, name: &str) -> Value {
    api.invoke("charge", &serde_json::from_str(&event(name)).unwrap()).await.unwrap()
}

async fn to_purchase(app: &App, name: &str) -> Value {
    let payload = RawValue::from_string(event(name)).unwrap();
    let event = LambdaEvent::new(payload, Context::default());
    let state = purchase_state(app.clone());
    let router = serve::with_middleware(purchase::routes(state.clone()));
    let answer = purchase::handle(&router, &state, event).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

async fn to_team(app: &App, name: &str) -> Value {
    let payload = RawValue::from_string(event(name)).unwrap();
    let event = LambdaEvent::new(payload, Context::default());
    let answer = team::handle(&router("team", app.clone()), app, event).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

/// Sends the samples of the functions `charge` and `hold`.
async fn charges_and_holds_are_answered(api: &Api) {
    let app = api.stack.app();
    let (status, body) = unpacked(&to_charge(api, "charge").await);
    assert_eq!((status, &body["charge"]["credits"]), (201, &json!(5)));
    let (status, body) = unpacked(&to_charge(api, "charge-batch").await);
    let charged: Vec<_> = (0..3).map(|n| body["results"][n]["charge"]["credits"].clone()).collect();
    assert_eq!((status, charged), (200, vec![json!(5), json!(0), json!(8)]));
    let direct = to_charge(api, "charge-direct").await;
    assert_eq!((&direct["status"], &direct["charge"]["credits"]), (&json!("charged"), &json!(1)));
    assert_eq!(to_charge(api, "charge-direct").await["status"], "replayed");

    let queued = to_charge(api, "charge-queued").await;
    let third = json!([{ "itemIdentifier": "059f36b4-87a3-44ab-83d2-661975610003" }]);
    assert_eq!(queued["batchItemFailures"], third, "its team is unknown");

    let (status, body) = http(app, "hold").await;
    assert_eq!((status, &body["hold"]["remaining"]), (201, &json!(100)));
    let (status, body) = http(app, "hold-release").await;
    assert_eq!((status, &body["hold"]["status"]), (200, &json!("released")));
}

/// Sends the samples of the functions `balance` and `purchase`.
async fn reads_and_purchases_are_answered(app: &App) {
    let (status, body) = http(app, "balance").await;
    assert_eq!((status, &body["credits"]["total"]), (200, &json!(400 - 5 - 5 - 8 - 1 - 5)));
    let (status, body) = http(app, "estimate").await;
    assert_eq!((status, &body["shortfall"]), (200, &json!(2_500 - 376)));
    let (status, body) = http(app, "history").await;
    assert_eq!((status, body["entries"].as_array().unwrap().len()), (200, 7));
    assert_eq!(http(app, "prices").await.0, 200);
    let (status, body) = unpacked(&to_purchase(app, "purchase").await);
    assert_eq!((status, &body["purchase"]["status"]), (201, &json!("paid")));
    let (status, body) = unpacked(&to_purchase(app, "payment-method").await);
    assert_eq!(status, 201, "{body}");
    let (status, body) = unpacked(&to_purchase(app, "webhook-stripe").await);
    assert_eq!((status, &body["errors"][0]["field"]), (400, &json!("Stripe-Signature")));
    let not_wanted = json!({ "purchase": null });
    assert_eq!(
        to_purchase(app, "top-up-due").await,
        not_wanted,
        "the demo team has no automatic top-up"
    );
}

/// Sends the samples of the function `panel`.
async fn the_contract_is_answered(app: &App) {
    assert_eq!(http(app, "health").await, (200, json!({ "status": "ok" })));
    let (status, body) = http(app, "unmatched").await;
    assert_eq!((status, &body["type"]), (405, &json!("/problems/method-not-allowed")));
    let payload = RawValue::from_string(event("docs")).unwrap();
    let docs = LambdaEvent::new(payload, Context::default());
    let answer = serve::answer_http_only(&router("panel", app.clone()), docs).await.unwrap();
    assert!(answer.get().contains("<!doctype html>"));
}

/// Sends the samples of the function `team`, except for the one that closes the account.
async fn team_changes_are_answered(app: &App) {
    let (status, body) = unpacked(&to_team(app, "subscription").await);
    assert_eq!((status, &body["seats"]), (200, &json!(2)));
    let (status, body) = http(app, "gift").await;
    assert_eq!((status, &body["gift"]["credits"]), (201, &json!(100)));
    let (status, body) = http(app, "subscription-cancel").await;
    assert_eq!((status, &body["cancelled"]), (200, &json!(true)));
    let (status, body) = http(app, "monitored-account").await;
    assert_eq!((status, &body["account"]["next_bill"]), (200, &json!("2027-02-28")));
    let answer = to_team(app, "subscription-changed").await;
    assert_eq!(answer["subscription"]["seats"], 3);
    let answer = to_team(app, "subscription-cancelled").await;
    assert_eq!(answer["subscription"]["cancelled"], true);
}

#[tokio::test]
async fn every_sample_event_is_answered() {
    let api = Api::start().await;
    let app = api.stack.app();
    charges_and_holds_are_answered(&api).await;
    reads_and_purchases_are_answered(app).await;
    the_contract_is_answered(app).await;
    team_changes_are_answered(app).await;

    let batch = serde_json::from_str(&event("relay")).unwrap();
    let bus = api.stack.eventbridge().bus();
    let answer =
        relay::handle(&app.store, &bus, LambdaEvent::new(batch, Context::default())).await.unwrap();
    assert_eq!(answer.batch_item_failures, []);

    api.travel("2027-02-28T00:00:00Z").await;
    let schedule = serde_json::from_str(&event("refill")).unwrap();
    let summary =
        refill::handle(app, LambdaEvent::new(schedule, Context::default())).await.unwrap();
    assert_eq!((summary.changed, summary.billed, summary.failed), (1, 1, 0));
    let pending = to_purchase(app, "purchase-schedule").await;
    assert_eq!((&pending["failed"], &pending["errors"]), (&json!(0), &json!(0)), "{pending}");
    assert_eq!(api.split("demo").await, (0, 5_050));
    assert_eq!(to_team(app, "account-closed").await["account"], "closed");
}

#[test]
fn every_sample_is_tested() {
    let there: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let here = include_str!("samples.rs");
    let left_out: Vec<_> =
        there.iter().filter(|name| !here.contains(&format!("\"{name}\""))).collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}

/// A function refuses an HTTP event without claims.
#[tokio::test]
async fn rejects_an_event_without_claims() {
    let api = Api::start().await;
    let mut bare: Value = serde_json::from_str(&event("charge")).unwrap();
    bare["requestContext"].as_object_mut().unwrap().remove("authorizer");
    let answer = api.invoke("charge", &bare).await.unwrap();
    let (status, body) = unpacked(&answer);
    assert_eq!((status, &body["type"]), (401, &json!("/problems/unauthenticated")));
    assert_eq!(api.split("demo").await, (400, 0));
}
