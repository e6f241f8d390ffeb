//! Purchases that the customer pays on a page of Stripe.

use futures_util::future::join_all;
use purchase::stripe::Secrets;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, DAY, admin, answer, member};
use crate::support::payments::{CARD, CARD_WITH_STEP, MASTERCARD, POOR_CARD, start};

/// A team without a stored card.
const TEAM: &str = "nocard_1";

const TOMORROW: &str = "2027-02-01T10:00:00Z";

const EXPIRED: &str = "the payment page has expired without a payment";

async fn api() -> Api {
    let api = Api::start().await;
    api.team_with(TEAM, 0).await;
    api
}

fn failed(purchase: &Value) -> (Value, Value) {
    assert_eq!(purchase["status"], "failed", "{purchase}");
    (purchase["reason"].clone(), purchase["code"].clone())
}

#[tokio::test]
async fn a_first_purchase_is_paid_on_a_page_and_a_later_one_by_the_stored_card() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    assert!(page.as_str().unwrap().starts_with(&format!("{}/dev/pay/", api.stack.url())));
    let again = api.buy(TEAM, "order", 5_000).await;
    assert_eq!((again.status, again.is_replayed()), (202, true));
    assert_eq!(again.json()["purchase"]["next_action"]["url"], page);
    let pending = api.purchase(TEAM, &purchase).await;
    assert_eq!((&pending["status"], &pending["receipt_url"]), (&json!("pending"), &Value::Null));
    let text = api.page(&page).await;
    assert!(text.contains("50.00 USD") && text.contains("5000 credits"), "{text}");

    let (status, place) = api.choose_on_page(&page, "pay", CARD).await;
    let back = format!("{}/dev/pay?purchase={}", api.stack.url(), purchase.as_str().unwrap());
    assert_eq!((status, &place), (303, &back));
    assert_eq!(api.split(TEAM).await, (0, 5_000), "when the customer is back");
    let text = api.page(&json!(place)).await;
    assert!(text.contains("has bought 5000 credits"), "{text}");
    let paid = api.purchase(TEAM, &purchase).await;
    assert_eq!((&paid["status"], paid["reason"].is_null()), (&json!("paid"), true));
    assert!(paid["receipt_url"].as_str().unwrap().starts_with("http"), "{paid}");
    let replay = api.buy(TEAM, "order", 5_000).await;
    assert_eq!((replay.status, replay.is_replayed()), (200, true));
    assert_eq!(replay.json()["purchase"], paid);

    let later = api.buy(TEAM, "later", 300).await;
    assert_eq!(later.status, 201, "the card is stored: {later:?}");
    assert_eq!(api.split(TEAM).await, (0, 5_300));
    assert_eq!(api.team_events(TEAM, "credits.purchased").await.len(), 2);
    api.assert_ledger(TEAM).await;
}

#[tokio::test]
async fn after_a_declined_card_another_one_pays() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    for (card, message) in
        [(POOR_CARD, "insufficient funds"), ("4242424242424241", "number is incorrect")]
    {
        let (status, text) = api.choose_on_page(&page, "pay", card).await;
        assert_eq!(status, 200);
        assert!(text.contains(message) && text.contains("<form"), "{text}");
    }
    assert_eq!(api.team_events(TEAM, "purchase.failed").await, [] as [Value; 0]);
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "pending");
    assert_eq!(api.order(TEAM, "order", 5_000).await, (purchase.clone(), page.clone()));
    assert_eq!(api.choose_on_page(&page, "pay", MASTERCARD).await.0, 303);
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "paid");
    assert_eq!(api.split(TEAM).await, (0, 5_000));
    let [payment] = <[_; 1]>::try_from(api.taken(&purchase)).unwrap();
    assert_eq!(payment.charge_attempts, 2, "one was declined");
}

/// The message that the page has expired is lost, so that the schedule ends the purchase.
#[tokio::test]
async fn a_left_page_takes_no_money_after_a_day() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    let (status, place) = api.choose_on_page(&page, "leave", "").await;
    assert_eq!(status, 303);
    let text = api.page(&json!(place)).await;
    assert!(text.contains("5000 credits for 50.00 USD is not complete"), "{text}");
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "pending");
    {
        let mut account = api.stack.account().account();
        account.advance(start() + i64::from(DAY));
        account.take_events();
    }
    api.travel(TOMORROW).await;
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 1);
    assert_eq!(failed(&api.purchase(TEAM, &purchase).await), (json!(EXPIRED), Value::Null));
    assert!(api.page(&page).await.contains("no longer open"));
    let (status, text) = api.choose_on_page(&page, "pay", CARD).await;
    assert_eq!(status, 200);
    assert!(text.contains("has expired"), "{text}");
    assert_eq!(api.taken(&purchase).len(), 0);
    assert_eq!(api.split(TEAM).await, (0, 0));
    let refused = api.buy(TEAM, "order", 5_000).await.problem(402, "/problems/payment-failed");
    assert_eq!(refused["reason"], EXPIRED);
    let (_, another) = api.order(TEAM, "another", 5_000).await;
    assert_ne!(another, page);
}

/// No schedule runs: Stripe ends the page, whose card was declined, and sends a message.
#[tokio::test]
async fn a_page_expires_by_itself() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    api.choose_on_page(&page, "pay", POOR_CARD).await;
    api.travel("2027-02-01T09:59:59Z").await;
    assert_eq!(api.team_events(TEAM, "purchase.failed").await.len(), 0);
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "pending");
    api.travel(TOMORROW).await;
    let text = api.page(&page).await;
    assert!(text.contains("no longer open") && !text.contains("<form"), "{text}");
    let [event] = <[Value; 1]>::try_from(api.team_events(TEAM, "purchase.failed").await).unwrap();
    assert_eq!(event["purchase"], purchase);
    assert_eq!(failed(&api.purchase(TEAM, &purchase).await), (json!(EXPIRED), Value::Null));
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 0);
    assert_eq!(api.split(TEAM).await, (0, 0));
}

#[tokio::test]
async fn a_card_with_a_step_pays_when_the_customer_confirms() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    let (status, step) = api.choose_on_page(&page, "pay", CARD_WITH_STEP).await;
    assert_eq!(status, 303);
    let step = json!(format!("{}{step}", api.stack.url()));
    assert!(api.page(&step).await.contains("The bank asks you to confirm."));
    assert_eq!(api.split(TEAM).await, (0, 0));
    let (status, place) = api.choose_on_page(&step, "confirm", "").await;
    assert_eq!(status, 303);
    assert!(api.page(&json!(place)).await.contains("has bought 5000 credits"));
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "paid");
    assert_eq!(api.split(TEAM).await, (0, 5_000));
}

#[tokio::test]
async fn after_a_refused_step_another_card_pays() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    let (_, step) = api.choose_on_page(&page, "pay", CARD_WITH_STEP).await;
    let step = json!(format!("{}{step}", api.stack.url()));
    let (status, text) = api.choose_on_page(&step, "refuse", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("unable to authenticate"), "{text}");
    assert!(text.contains("name=\"card_number\""), "another card can be entered: {text}");
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "pending");
    assert_eq!(api.choose_on_page(&page, "pay", CARD).await.0, 303);
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "paid");
    assert_eq!(api.split(TEAM).await, (0, 5_000));
}

#[tokio::test]
async fn two_tabs_take_the_money_once() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    let tabs = join_all((0..4).map(|_| api.choose_on_page(&page, "pay", CARD))).await;
    let paid = tabs.iter().filter(|(status, _)| *status == 303).count();
    let told = tabs.iter().filter(|(_, text)| text.contains("was already made")).count();
    assert_eq!((paid, told), (1, 3), "{tabs:?}");
    assert_eq!(api.taken(&purchase).len(), 1);
    assert_eq!(api.split(TEAM).await, (0, 5_000));
    assert_eq!(api.team_events(TEAM, "purchase.unassigned").await.len(), 0);
}

/// Two orders are two purchases. Each has a page of its own.
#[tokio::test]
async fn concurrent_requests_of_an_order_have_one_page() {
    let api = api().await;
    let orders = join_all((0..6).map(|_| api.order(TEAM, "order", 5_000))).await;
    assert!(orders.iter().all(|order| *order == orders[0]), "{orders:?}");
    let (other, page) = api.order(TEAM, "another", 300).await;
    assert!(other != orders[0].0 && page != orders[0].1);
    for (_, page) in [&orders[0], &(other, page)] {
        assert_eq!(api.choose_on_page(page, "pay", CARD).await.0, 303);
    }
    assert_eq!(api.split(TEAM).await, (0, 5_300));
}

/// Pays a page. Stripe's message is lost.
fn pay_in_silence(api: &Api, page: &Value) {
    let id = page.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let mut account = api.stack.account().account();
    assert!(matches!(account.pay(&id, CARD, start()), stripe::Outcome::Redirect(_)));
    account.take_events();
}

#[tokio::test]
async fn without_a_message_the_same_request_finds_the_payment() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    pay_in_silence(&api, &page);
    api.team_events(TEAM, "").await;
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "pending");
    let found = api.buy(TEAM, "order", 5_000).await;
    assert_eq!((found.status, &found.json()["purchase"]["status"]), (200, &json!("paid")));
    assert_eq!(api.split(TEAM).await, (0, 5_000));
}

#[tokio::test]
async fn without_a_message_the_schedule_finds_the_payment() {
    let api = api().await;
    let (purchase, page) = api.order(TEAM, "order", 5_000).await;
    pay_in_silence(&api, &page);
    api.travel("2027-01-31T10:06:00Z").await;
    assert_eq!(api.run_schedule().await.ok()["purchases"]["paid"], 1);
    assert_eq!(api.purchase(TEAM, &purchase).await["status"], "paid");
    assert_eq!(api.split(TEAM).await, (0, 5_000));
}

/// Nobody enters a card for an automatic top-up.
#[tokio::test]
async fn a_top_up_without_a_card_fails_and_an_admin_buys_in_person() {
    let api = api().await;
    let top_up = json!({ "below": 100, "credits": 300, "monthly_limit": 300 });
    let settings = json!({ "low_balance_threshold": null, "auto_top_up": top_up });
    api.put(&admin(TEAM), &format!("/teams/{TEAM}/settings"), &settings).await.ok();
    let [event] = <[Value; 1]>::try_from(api.team_events(TEAM, "purchase.failed").await).unwrap();
    let reason = "no card is stored for automatic payments";
    assert_eq!((&event["reason"], &event["top_up"]), (&json!(reason), &json!(true)));
    assert_eq!(failed(&api.purchase(TEAM, &event["purchase"]).await).0, reason);
    assert_eq!(api.balance(TEAM).await["auto_top_up"], "failed");

    let (_, page) = api.order(TEAM, "order", 5_000).await;
    assert_eq!(api.choose_on_page(&page, "pay", CARD).await.0, 303);
    assert_eq!(api.split(TEAM).await, (0, 5_000));
    api.put(&admin(TEAM), &format!("/teams/{TEAM}/settings"), &settings).await.ok();
    let find = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": 4_901 });
    api.charge(TEAM, "find", &find).await.ok();
    assert_eq!(api.team_events(TEAM, "purchase.failed").await.len(), 1);
    assert_eq!(api.split(TEAM).await, (0, 99 + 300), "a later top-up charges the stored card");
}

#[tokio::test]
async fn without_a_provider_an_order_is_refused_and_not_stored() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let url = api.serve_purchase(Secrets::None).await;
    for _ in 0..2 {
        let order = api.http.post(format!("{url}/teams/t/purchases")).bearer_auth(admin("t"));
        let order = order.header("idempotency-key", "order").json(&json!({ "credits": 5_000 }));
        let problem = answer(order).await.problem(402, "/problems/payment-failed");
        assert!(problem["reason"].as_str().unwrap().contains("provider"), "{problem}");
    }
    for method in [Method::GET, Method::POST] {
        let card = api.http.request(method, format!("{url}/teams/t/payment-method"));
        answer(card.bearer_auth(admin("t"))).await.problem(402, "/problems/payment-failed");
    }
    let listed = api.get(&member("t"), "/teams/t/purchases").await.ok();
    assert_eq!(listed["purchases"], json!([]));
    assert_eq!(api.stack.account().account().intents().count(), 0);
    assert_eq!(api.buy("t", "order", 5_000).await.status, 201, "the key is free");
}
