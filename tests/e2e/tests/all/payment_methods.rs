//! The stored card: its payments, and the pages on which it is stored and changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, admin, billing, member, pipeline};
use crate::support::payments::{CARD, CARD_WITH_STEP, MASTERCARD};

/// A team without a stored card.
const TEAM: &str = "nocard_1";

#[tokio::test]
async fn the_card_of_a_team_is_stated() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    api.team_with(TEAM, 0).await;
    let card = json!({ "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034 });
    for (team, card) in [("t", card), (TEAM, Value::Null)] {
        let path = format!("/teams/{team}/payment-method");
        for _ in 0..2 {
            assert_eq!(api.get(&admin(team), &path).await.ok(), json!({ "card": card }));
        }
    }
}

#[tokio::test]
async fn a_first_card_is_stored_without_a_purchase() {
    let api = Api::start().await;
    api.team_with(TEAM, 0).await;
    let page = api.card_page(TEAM).await;
    let text = api.page(&page).await;
    assert!(text.contains("Save the card") && !text.contains("USD"), "{text}");
    let (status, text) = api.choose_on_page(&page, "decline", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("was declined"), "{text}");
    assert_eq!(api.card(TEAM).await, Value::Null);
    assert_eq!(api.choose_on_page(&page, "pay", MASTERCARD).await.0, 303);
    let card = api.card(TEAM).await;
    assert_eq!((&card["brand"], &card["last4"]), (&json!("mastercard"), &json!("4444")));
    let (status, _) = api.choose_on_page(&page, "pay", CARD).await;
    assert_eq!((status, &api.card(TEAM).await), (200, &card), "the page is complete");
    assert_eq!(api.buy(TEAM, "order", 5_000).await.status, 201);
    assert_eq!(api.split(TEAM).await, (0, 5_000));
}

#[tokio::test]
async fn a_card_that_needs_a_step_is_stored_after_it() {
    let api = Api::start().await;
    api.team_with(TEAM, 0).await;
    let page = api.card_page(TEAM).await;
    let (status, step) = api.choose_on_page(&page, "pay", CARD_WITH_STEP).await;
    assert_eq!(status, 303);
    let step = json!(format!("{}{step}", api.stack.url()));
    let (status, text) = api.choose_on_page(&step, "refuse", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("unable to authenticate"), "{text}");
    assert_eq!(api.card(TEAM).await, Value::Null);
    api.choose_on_page(&page, "pay", CARD_WITH_STEP).await;
    assert_eq!(api.choose_on_page(&step, "confirm", "").await.0, 303);
    assert_eq!(api.card(TEAM).await["last4"], "3155");
}

#[tokio::test]
async fn the_changed_card_is_the_one_that_is_charged() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    assert_eq!(api.buy("t", "first", 300).await.status, 201);
    let page = api.card_page("t").await;
    assert_eq!(api.choose_on_page(&page, "pay", CARD_WITH_STEP).await.0, 303);
    let step = page;
    let (status, place) = api.choose_on_page(&step, "confirm", "").await;
    assert_eq!((status, place), (303, format!("{}/dev/pay", api.stack.url())));
    assert_eq!(api.card("t").await["last4"], "3155");
    let (_, page) = api.order("t", "second", 300).await;
    assert_eq!(api.choose_on_page(&page, "confirm", "").await.0, 303, "the new card is charged");
    assert_eq!(api.split("t").await, (0, 600));
    let page = api.card_page("t").await;
    assert_eq!(api.choose_on_page(&page, "pay", MASTERCARD).await.0, 303);
    assert_eq!(api.card("t").await["last4"], "4444");
    assert_eq!(api.buy("t", "third", 300).await.status, 201);
}

#[tokio::test]
async fn only_admins_see_and_change_the_card() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let path = "/teams/t/payment-method";
    for method in [Method::GET, Method::POST] {
        for token in [member("t"), billing(), pipeline(), admin("other")] {
            let refused = api.send(method.clone(), path, &token, None, None).await;
            refused.problem(403, "/problems/forbidden");
        }
        let unknown = "/teams/unknown/payment-method";
        let refused = api.send(method.clone(), unknown, &admin("unknown"), None, None).await;
        refused.problem(404, "/problems/not-found");
    }
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    let closed = api.send(Method::POST, path, &admin("t"), None, None).await;
    closed.problem(409, "/problems/account-closed");
}

#[tokio::test]
async fn a_refused_step_of_the_stored_card_fails_the_purchase() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (purchase, page) = api.order("t", "order", 202).await;
    let (status, place) = api.choose_on_page(&page, "refuse", "").await;
    assert_eq!(status, 303);
    assert!(api.page(&json!(place)).await.contains("has failed"));
    let failed = api.purchase("t", &purchase).await;
    assert_eq!(
        (&failed["status"], &failed["reason"], &failed["code"]),
        (
            &json!("failed"),
            &json!("the card holder did not confirm the payment with the bank"),
            &json!("payment_intent_authentication_failure")
        )
    );
    api.buy("t", "order", 202).await.problem(402, "/problems/payment-failed");
    let (_, text) = api.choose_on_page(&page, "confirm", "").await;
    assert!(text.contains("This step is over."), "{text}");
    assert_eq!(api.split("t").await, (0, 0));
    assert_eq!(api.taken(&purchase).len(), 0);
}

#[tokio::test]
async fn a_step_cannot_be_confirmed_after_a_day() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let (purchase, page) = api.order("t", "order", 202).await;
    assert!(api.page(&page).await.contains("2.02 USD"));
    api.travel("2027-02-01T10:06:00Z").await;
    assert_eq!(api.run_schedule().await.ok()["purchases"]["failed"], 1);
    assert!(api.page(&page).await.contains("no longer open"));
    let (status, text) = api.choose_on_page(&page, "confirm", "").await;
    assert_eq!(status, 200);
    assert!(text.contains("This step is over."), "{text}");
    let failed = api.purchase("t", &purchase).await;
    assert_eq!(failed["reason"], "the payment was not completed within a day");
    assert_eq!((api.taken(&purchase).len(), api.split("t").await), (0, (0, 0)));
}

#[tokio::test]
async fn a_decline_keeps_its_key() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let declined = api.buy("t", "order", 402).await.problem(402, "/problems/payment-failed");
    let reason = "the card was declined; use another card or contact the bank";
    assert_eq!(declined["reason"], reason);
    let listed = api.get(&member("t"), "/teams/t/purchases").await.ok();
    let [failed] = listed["purchases"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!(
        (&failed["status"], &failed["reason"], &failed["code"]),
        (&json!("failed"), &json!(reason), &json!("generic_decline"))
    );
    let page = api.card_page("t").await;
    api.choose_on_page(&page, "pay", MASTERCARD).await;
    let again = api.buy("t", "order", 402).await;
    assert_eq!(again.problem(402, "/problems/payment-failed")["reason"], reason);
    assert!(again.is_replayed(), "the payment is not attempted again");
    api.buy("t", "order", 300).await.problem(422, "/problems/idempotency-key-reused");
    assert_eq!(api.buy("t", "another", 300).await.status, 201);
    let account = api.stack.account().account();
    let attempts: Vec<u32> = account.intents().map(|intent| intent.charge_attempts).collect();
    assert_eq!(attempts, [1, 1]);
}
