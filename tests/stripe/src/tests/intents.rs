//! The states of an intent that requests create, confirm and cancel.

use serde_json::{Value, json};

use crate::IntentStatus;
use crate::testing::{NOW, account, object, text};

#[test]
fn an_intent_with_a_card_succeeds_when_it_is_confirmed() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    let created = account.intent(&id);
    assert_eq!(created["status"], "requires_confirmation");
    assert_eq!(created["created"], NOW);
    assert_eq!((&created["latest_charge"], &created["next_action"]), (&Value::Null, &Value::Null));
    let confirmed = account.confirm(&id, &[]);
    assert_eq!((confirmed.status, confirmed.is_replay), (200, false));
    assert_eq!(confirmed.body["status"], "succeeded");
    assert_eq!(confirmed.body["latest_charge"], "ch_1");
    let paid = account.intent(&id);
    assert_eq!(
        (&paid["amount_received"], &paid["metadata"]["credits"]),
        (&json!(5000), &json!("50"))
    );
    let charge = &paid["latest_charge"];
    assert_eq!((&charge["paid"], &charge["status"]), (&json!(true), &json!("succeeded")));
    assert_eq!((&charge["amount_refunded"], &charge["disputed"]), (&json!(0), &json!(false)));
    assert_eq!(charge["payment_intent"], id);
    assert_eq!(charge["receipt_url"], format!("https://pay.test/p/{id}"));
    assert_eq!(
        account.kinds(),
        ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"],
    );
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.charge_attempts, intent.confirms), (1, 1));
    assert_eq!(intent.status, IntentStatus::Succeeded);
}

#[test]
fn a_declined_intent_loses_its_card_and_keeps_the_error() {
    for (number, code, reason, param) in [
        ("4000000000000002", "card_declined", "generic_decline", None),
        ("4000000000009995", "card_declined", "insufficient_funds", None),
        ("4000000000000069", "expired_card", "expired_card", Some("exp_month")),
        ("4000000000000127", "incorrect_cvc", "incorrect_cvc", Some("cvc")),
        ("4000000000000119", "processing_error", "processing_error", None),
        ("4000000000000341", "card_declined", "generic_decline", None),
    ] {
        let mut account = account();
        let id = account.intent_with(number, "50");
        let answer = account.confirm(&id, &[]);
        assert_eq!(answer.status, 402, "{number}");
        let error = &answer.body["error"];
        assert_eq!(error["type"], "card_error");
        assert_eq!((&error["code"], &error["decline_code"]), (&json!(code), &json!(reason)));
        assert_eq!((error["param"].as_str(), &error["charge"]), (param, &json!("ch_1")));
        let intent = &error["payment_intent"];
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(
            (&intent["payment_method"], &intent["amount_received"]),
            (&Value::Null, &json!(0))
        );
        assert_eq!(intent["last_payment_error"]["message"], error["message"]);
        assert_eq!(intent["last_payment_error"]["payment_method"]["card"]["last4"], number[12..]);
        let charge = &account.intent(&id)["latest_charge"];
        assert_eq!((&charge["paid"], &charge["status"]), (&json!(false), &json!("failed")));
        let events = account.take_events();
        assert_eq!(events.last().unwrap().kind, "payment_intent.payment_failed");
        assert_eq!(object(events.last().unwrap())["last_payment_error"]["code"], code);
        assert_eq!(account.intents().next().unwrap().charge_attempts, 1);
    }
}

#[test]
fn a_declined_intent_is_paid_by_another_card() {
    let mut account = account();
    let id = account.intent_with("4000000000000002", "50");
    assert_eq!(account.confirm(&id, &[]).status, 402);
    let missing = account.confirm(&id, &[]);
    assert_eq!(missing.status, 400);
    assert_eq!(missing.body["error"]["code"], "payment_intent_unexpected_state");
    let paid = account.confirm(&id, &[("payment_method", "pm_1")]);
    assert_eq!((paid.status, &paid.body["status"]), (200, &json!("succeeded")));
    assert_eq!(paid.body["last_payment_error"], Value::Null);
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.charge_attempts, intent.confirms), (2, 2));
}

#[test]
fn an_intent_without_a_card_cannot_be_confirmed() {
    let mut account = account();
    let pairs = [("amount", "50"), ("currency", "usd"), ("payment_method_types[]", "card")];
    let created = account.post("/v1/payment_intents", &pairs).body;
    assert_eq!(created["status"], "requires_payment_method");
    let answer = account.confirm("pi_1", &[]);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["payment_intent"]["id"], "pi_1");
}

#[test]
fn a_canceled_intent_takes_no_other_request() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    let path = format!("/v1/payment_intents/{id}/cancel");
    let reason = ("cancellation_reason", "abandoned");
    let canceled = account.post(&path, &[reason]);
    assert_eq!((canceled.status, &canceled.body["status"]), (200, &json!("canceled")));
    assert_eq!(canceled.body["canceled_at"], NOW);
    assert_eq!(canceled.body["cancellation_reason"], "abandoned");
    assert_eq!(account.kinds().last().unwrap(), "payment_intent.canceled");
    for answer in [account.post(&path, &[reason]), account.confirm(&id, &[])] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["error"]["code"], "payment_intent_unexpected_state");
        assert_eq!(answer.body["error"]["payment_intent"]["status"], "canceled");
    }
    assert_eq!(account.intents().next().unwrap().confirms, 0);
    assert_eq!(account.kinds(), [""; 0]);
    assert_eq!(account.post(&path, &[("cancellation_reason", "bored")]).status, 400);
}

#[test]
fn a_paid_intent_takes_no_other_request() {
    let mut account = account();
    let id = account.intent_with("5555555555554444", "50");
    account.confirm(&id, &[]);
    for act in ["confirm", "cancel"] {
        let answer = account.post(&format!("/v1/payment_intents/{id}/{act}"), &[]);
        assert_eq!(answer.status, 400, "{act}");
        assert_eq!(answer.body["error"]["code"], "payment_intent_unexpected_state");
    }
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.charge_attempts, intent.confirms), (1, 1));
}

#[test]
fn an_intent_for_the_methods_of_the_dashboard_requires_a_return_url() {
    let mut account = account();
    let (customer, method) = account.customer();
    let pairs = [
        ("amount", "500"),
        ("currency", "usd"),
        ("customer", customer.as_str()),
        ("payment_method", method.as_str()),
    ];
    let id = text(&account.post("/v1/payment_intents", &pairs).body, "id");
    assert_eq!(account.confirm(&id, &[]).body["error"]["param"], "return_url");
    assert_eq!(account.confirm(&id, &[("return_url", "https://shop.test/")]).status, 200);
    let never = ("automatic_payment_methods[allow_redirects]", "never");
    let id =
        text(&account.post("/v1/payment_intents", &[&pairs[..], &[never]].concat()).body, "id");
    assert_eq!(account.confirm(&id, &[]).status, 200);
}
