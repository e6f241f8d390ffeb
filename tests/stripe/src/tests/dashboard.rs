//! Refunds and disputes.

use serde_json::{Value, json};

use crate::testing::{NOW, account, object};

#[test]
fn a_payment_is_refunded_in_parts() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    assert!(!account.refund(&id, 1, NOW));
    account.confirm(&id, &[]);
    account.take_events();
    assert!(account.refund(&id, 2_000, NOW + 1));
    let events = account.take_events();
    assert_eq!((&*events[0].kind, &*events[1].kind), ("refund.created", "charge.refunded"));
    assert_eq!(object(&events[0])["amount"], 2_000);
    let charge = object(&events[1]);
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&json!(2_000), &json!(false)));
    assert!(!account.refund(&id, 3_001, NOW) && !account.refund(&id, 0, NOW));
    assert!(account.refund(&id, 3_000, NOW + 2));
    assert_eq!(account.intent(&id)["latest_charge"]["refunded"], true);
    assert_eq!(account.intent(&id)["amount_received"], 5_000);
    assert!(!account.refund(&id, 1, NOW) && !account.dispute(&id, NOW));
    assert_eq!(account.intents().next().unwrap().refunded, 5_000);

    let list = account.get("/v1/refunds", &[("payment_intent", &id), ("limit", "100")]).body;
    assert_eq!((&list["object"], &list["has_more"]), (&json!("list"), &json!(false)));
    let amounts: Vec<&Value> =
        list["data"].as_array().unwrap().iter().map(|refund| &refund["amount"]).collect();
    assert_eq!(amounts, [3_000, 2_000]);
    let refund = &list["data"][0];
    assert_eq!((&refund["id"], &refund["status"]), (&json!("re_2"), &json!("succeeded")));
    assert_eq!((&refund["charge"], &refund["payment_intent"]), (&json!("ch_1"), &json!(id)));
    assert_eq!((&refund["created"], &refund["currency"]), (&json!(NOW + 2), &json!("usd")));
}

#[test]
fn refunds_of_other_intents_are_not_listed() {
    let mut account = account();
    let ids = [1, 2].map(|_| account.intent_with("4242424242424242", "50"));
    account.confirm(&ids[0], &[]);
    account.refund(&ids[0], 1, NOW);
    let listed = |account: &mut crate::Account, id: &str| {
        account.get("/v1/refunds", &[("payment_intent", id)]).body["data"].as_array().unwrap().len()
    };
    assert_eq!((listed(&mut account, &ids[0]), listed(&mut account, &ids[1])), (1, 0));
    assert_eq!(account.get("/v1/refunds", &[("payment_intent", "pi_9")]).status, 400);
}

#[test]
fn a_payment_is_disputed_once() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    assert!(!account.dispute(&id, NOW));
    account.confirm(&id, &[]);
    account.take_events();
    assert!(account.dispute(&id, NOW) && !account.dispute(&id, NOW));
    let events = account.take_events();
    assert_eq!((events.len(), &*events[0].kind), (1, "charge.dispute.created"));
    let dispute = object(&events[0]);
    assert_eq!((&dispute["object"], &dispute["id"]), (&json!("dispute"), &json!("dp_1")));
    assert_eq!((&dispute["charge"], &dispute["payment_intent"]), (&json!("ch_1"), &json!(id)));
    assert_eq!(account.intent(&id)["latest_charge"]["disputed"], true);
    assert!(!account.refund(&id, 1, NOW));
    assert!(account.intents().next().unwrap().disputed);
}

#[test]
fn a_card_is_disputed_at_once() {
    let mut account = account();
    account.checkout(&[]);
    account.pay("cs_test_1", "4000000000000259", NOW);
    assert_eq!(account.kinds().last().unwrap(), "charge.dispute.created");
    assert_eq!(account.intent("pi_1")["status"], "succeeded");
    assert_eq!(account.intent("pi_1")["latest_charge"]["disputed"], true);
}

#[test]
fn an_event_has_stripes_envelope() {
    let mut account = account();
    account.intent_with("4242424242424242", "50");
    let event = account.take_events().remove(0);
    assert_eq!((&*event.id, event.created), ("evt_1", NOW));
    let body: Value = serde_json::from_str(&event.body).unwrap();
    assert_eq!(
        (&body["id"], &body["object"], &body["type"]),
        (&json!("evt_1"), &json!("event"), &json!("payment_intent.created")),
    );
    assert_eq!((&body["created"], &body["livemode"]), (&json!(NOW), &json!(false)));
    assert_eq!(body["api_version"], "2024-06-20");
    assert_eq!(body["data"]["object"]["id"], "pi_1");
    assert_eq!(account.take_events(), []);
}
