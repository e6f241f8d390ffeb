//! Monitored accounts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, LambdaEvent};
use refill::Summary;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, billing, member};

const ACME: &str = "/teams/t/monitored-accounts/acme";
const ALL: &str = "/teams/t/monitored-accounts";

async fn add_account(api: &Api, path: &str) -> Answer {
    api.send(Method::PUT, path, &admin("t"), None, None).await
}

/// The charges for accounts: ids and credits, newest first.
async fn bills(api: &Api) -> Vec<(Value, Value)> {
    let history = api.history("t").await;
    let bills = history.iter().filter(|entry| entry["action"] == "signal_custom");
    bills.map(|bill| (bill["account"].clone(), bill["credits"].clone())).collect()
}

#[tokio::test]
async fn charges_an_account_each_month_until_it_is_removed() {
    let api = Api::start().await;
    api.team_with("t", 120).await;
    let first = add_account(&api, ACME).await.ok();
    let expected = json!({ "account": {
        "id": "acme", "status": "active", "since": "2027-01-31", "paid_until": "2027-02-28",
        "next_bill": "2027-02-28",
    } });
    assert_eq!(first, expected);
    assert_eq!(add_account(&api, ACME).await.ok(), expected, "the same again changes nothing");
    let listed = api.get(&member("t"), ALL).await.ok();
    assert_eq!(listed, json!({ "accounts": [expected["account"]] }));
    assert_eq!(api.split("t").await, (70, 0));

    let removed = api.delete(&admin("t"), ACME).await.ok();
    assert_eq!(removed["account"]["status"], "removed");
    assert_eq!(removed["account"]["next_bill"], Value::Null);
    assert_eq!(api.delete(&admin("t"), ACME).await.ok(), removed);
    assert_eq!(api.get(&member("t"), ALL).await.ok(), json!({ "accounts": [] }));
    api.travel("2027-02-20T00:00:00Z").await;
    assert_eq!(add_account(&api, ACME).await.ok(), expected, "the month is already paid");

    api.travel("2027-02-28T00:00:00Z").await;
    let schedule = api.run_schedule().await.ok();
    let done = ["billed", "paused", "failed", "left"].map(|field| schedule[field].clone());
    assert_eq!(done, [json!(1), json!(0), json!(0), json!(false)]);
    let account = &api.get(&member("t"), ALL).await.ok()["accounts"][0];
    assert_eq!(account["next_bill"], "2027-03-31");
    assert_eq!(bills(&api).await, vec![(json!("acme"), json!(-50)); 2]);

    api.travel("2027-03-31T00:00:00Z").await;
    let schedule = api.run_schedule().await.ok();
    assert_eq!((&schedule["billed"], &schedule["paused"]), (&json!(0), &json!(1)));
    let account = &api.get(&member("t"), ALL).await.ok()["accounts"][0];
    assert_eq!((&account["status"], &account["next_bill"]), (&json!("paused"), &Value::Null));
    add_account(&api, ACME).await.problem(402, "/problems/insufficient-credits");
    api.buy("t", "order", 200).await.ok();
    let again = add_account(&api, ACME).await.ok();
    assert_eq!(again["account"]["since"], "2027-03-31");
    assert_eq!(again["account"]["paid_until"], "2027-04-30");
    assert_eq!(api.split("t").await, (0, 170));
    api.assert_ledger("t").await;
}

/// A run without enough time begins nothing. A deadline in the past, as emulators send it, is
/// ignored.
#[tokio::test]
async fn the_schedule_respects_its_deadline() {
    let api = Api::start().await;
    api.team_with("t", 120).await;
    add_account(&api, ACME).await.ok();
    api.travel("2027-02-28T00:00:00Z").await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let run = async |deadline: Duration| {
        let sample = include_str!("../../../../events/refill.json");
        let mut context = Context::default();
        context.deadline = deadline.as_millis().try_into().unwrap();
        let event = LambdaEvent::new(serde_json::from_str(sample).unwrap(), context);
        refill::handle(api.stack.app(), event).await.unwrap()
    };
    let short = run(now + Duration::from_secs(5)).await;
    assert_eq!(short, Summary { left: true, ..Summary::default() });
    let long = run(Duration::ZERO).await;
    // The demo team and this one.
    assert_eq!(long, Summary { changed: 2, billed: 1, ..Summary::default() });
}

#[tokio::test]
async fn an_account_that_cannot_be_paid_is_not_added() {
    let api = Api::start().await;
    api.team_with("t", 49).await;
    let problem = add_account(&api, ACME).await.problem(402, "/problems/insufficient-credits");
    assert_eq!((&problem["required"], &problem["shortfall"]), (&json!(50), &json!(1)));
    assert_eq!(api.get(&member("t"), ALL).await.ok(), json!({ "accounts": [] }));
    assert_eq!(api.history("t").await.len(), 1);
    api.delete(&admin("t"), "/teams/t/monitored-accounts/other")
        .await
        .problem(404, "/problems/not-found");
    let unknown = "/teams/unknown/monitored-accounts/acme";
    let refused = api.send(Method::PUT, unknown, &billing(), None, None).await;
    refused.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn a_closed_account_monitors_nothing() {
    let api = Api::start().await;
    api.team_with("t", 500).await;
    add_account(&api, ACME).await.ok();
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    for method in [Method::PUT, Method::DELETE] {
        let refused = api.send(method, ACME, &admin("t"), None, None).await;
        refused.problem(409, "/problems/account-closed");
    }
    api.travel("2027-02-28T00:00:00Z").await;
    let schedule = api.run_schedule().await.ok();
    assert_eq!((&schedule["billed"], &schedule["failed"]), (&json!(0), &json!(0)));
    assert_eq!(bills(&api).await.len(), 1);
    assert_eq!(api.get(&member("t"), ALL).await.ok(), json!({ "accounts": [] }));
}

/// More accounts than fit into a page of a query.
#[tokio::test]
async fn lists_more_accounts_than_a_page_of_a_query() {
    use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
    use shared::domain::monitored_account::MonitoredAccount;
    use shared::store::keys;

    let api = Api::start().await;
    api.team_with("t", 50).await;
    let today = "2027-01-31".parse().unwrap();
    let client = api.stack.engine().client();
    for batch in 0..80 {
        let puts = (0..25).map(|number| {
            let id = format!("account-{batch:03}-{number:02}").parse().unwrap();
            let new = MonitoredAccount::new("t".parse().unwrap(), id, today);
            let account = new.paid(&new.first_bill(today).unwrap());
            let mut item = keys::account_with_due(&account);
            for (name, value) in serde_json::to_value(&account).unwrap().as_object().unwrap() {
                let text = value.as_str().map(keys::text);
                item.insert(name.clone(), text.unwrap_or_else(|| keys::number(0)));
            }
            item.insert("padding".to_owned(), keys::text("x".repeat(1_000)));
            let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
            WriteRequest::builder().put_request(put).build()
        });
        let write = client.batch_write_item().request_items(engine::TABLE, puts.collect());
        write.send().await.unwrap();
    }
    let listed = api.get(&member("t"), ALL).await.ok();
    let ids: Vec<&str> =
        listed["accounts"].as_array().unwrap().iter().map(|a| a["id"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids.is_sorted()), (2_000, true));
}

#[tokio::test]
async fn a_refused_account_leaves_no_item() {
    let api = Api::start().await;
    api.team_with("t", 49).await;
    add_account(&api, ACME).await.problem(402, "/problems/insufficient-credits");
    assert_eq!(api.get(&member("t"), ALL).await.ok(), json!({ "accounts": [] }));
    api.delete(&admin("t"), ACME).await.problem(404, "/problems/not-found");
}

/// A month of an account is enrichment.
#[tokio::test]
async fn no_account_is_added_while_enrichment_is_paused() {
    let api = Api::start().await;
    api.team_with("t", 5).await;
    let phone = json!({ "action": "phone_finder", "outcome": "valid" });
    api.charge("t", "k", &phone).await.problem(402, "/problems/insufficient-credits");
    api.post(&billing(), "/teams/t/gifts", "g", &json!({ "credits": 500 })).await.ok();
    let refused = add_account(&api, ACME).await;
    refused.problem(409, "/problems/enrichment-paused");
    assert_eq!(bills(&api).await.len(), 0);
}
