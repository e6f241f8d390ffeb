//! Objects in other shapes than today's.

use purchase::stripe::{Customer, Expandable, Intent, IntentStatus, SessionStatus};
use serde_json::{Value, json};

use super::fixtures::{card_json, client, id, intent};
use crate::support::{Act, Wire};

async fn read(object: &Value) -> Intent {
    let wire = Wire::answering([Act::json(200, object)]);
    client(&wire).intent_read(&id("pi_1")).await.unwrap().unwrap()
}

fn with(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

#[tokio::test(start_paused = true)]
async fn the_smallest_payment_is_read() {
    let found = read(&intent("succeeded")).await;
    assert_eq!((found.status, found.amount), (IntentStatus::Succeeded, 5_000));
    assert_eq!(found.amount_received, 0, "money that is not stated was not taken");
    assert!(found.customer.is_none() && found.metadata.is_empty());
    assert!(found.latest_charge.is_none() && found.next_action.is_none());
}

#[tokio::test(start_paused = true)]
async fn unknown_fields_and_states_are_tolerated() {
    let more = json!({
        "new_object": { "a": [1, null] },
        "customer": null,
        "next_action": { "type": "display_qr_code", "display_qr_code": {} },
        "last_payment_error": { "type": "card_error", "advice": "new", "code": "card_declined" },
    });
    let found = read(&with(intent("requires_capture"), &more)).await;
    assert_eq!(found.status, IntentStatus::Unknown);
    assert!(found.next_action.unwrap().redirect_to_url.is_none());
    assert_eq!(found.last_payment_error.unwrap().code.as_deref(), Some("card_declined"));

    let object = json!({ "id": "cs_1", "status": "paused", "url": null, "mode": "new" });
    let wire = Wire::answering([Act::json(200, &object)]);
    let session = client(&wire).session_read(&id("cs_1")).await.unwrap().unwrap();
    assert_eq!(session.status, Some(SessionStatus::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_charge_is_an_id_or_an_object() {
    let found = read(&with(intent("succeeded"), &json!({ "latest_charge": "ch_1" }))).await;
    assert!(matches!(&found.latest_charge, Some(Expandable::Id(id)) if id == "ch_1"));
    assert!(found.latest_charge.unwrap().object().is_none());

    let charge = json!({ "latest_charge": { "id": "ch_1", "receipt_url": null, "new": {} } });
    let found = read(&with(intent("succeeded"), &charge)).await;
    let charge = found.latest_charge.as_ref().and_then(Expandable::object).unwrap();
    assert_eq!((charge.id.as_str(), charge.receipt_url.as_deref()), ("ch_1", None));
    assert_eq!((charge.disputed, charge.amount_refunded), (false, 0));
}

/// A customer with this default, and with a newest card `pm_new`.
async fn customer(settings: Value) -> (Option<Customer>, usize) {
    let customer = json!({ "id": "cus_1", "invoice_settings": settings });
    let wire = Wire::scripted(move |seen| match seen.path() {
        "/v1/customers/cus_1" => Act::json(200, &customer),
        _ => Act::json(200, &json!({ "data": [card_json("pm_new")] })),
    });
    let found = client(&wire).customer_read(&id("cus_1")).await.unwrap();
    (found, wire.take().len())
}

#[tokio::test(start_paused = true)]
async fn the_default_card_comes_before_the_newest() {
    let default = json!({ "default_payment_method": card_json("pm_default") });
    let (found, requests) = customer(default).await;
    assert_eq!(found.unwrap().card.unwrap().id.as_str(), "pm_default");
    assert_eq!(requests, 1);
    let other = json!({ "id": "pm_sepa", "type": "sepa_debit", "sepa_debit": {} });
    for settings in [
        json!(null),
        json!({ "default_payment_method": null }),
        json!({ "default_payment_method": "pm_sepa" }),
        json!({ "default_payment_method": other }),
    ] {
        let (found, requests) = customer(settings.clone()).await;
        assert_eq!(found.unwrap().card.unwrap().id.as_str(), "pm_new", "{settings}");
        assert_eq!(requests, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deleted_customer_does_not_exist() {
    let deleted = json!({ "id": "cus_1", "object": "customer", "deleted": true });
    let wire = Wire::answering([Act::json(200, &deleted)]);
    assert!(client(&wire).customer_read(&id("cus_1")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_customer_may_have_no_card() {
    let answers = [json!({ "id": "cus_1" }), json!({ "object": "list", "data": [] })];
    let wire = Wire::answering(answers.map(|answer| Act::json(200, &answer)));
    let found = client(&wire).customer_read(&id("cus_1")).await.unwrap().unwrap();
    assert!(found.card.is_none());
    let sent = wire.take();
    let expand = "expand%5B%5D=invoice_settings.default_payment_method";
    assert!(sent[0].uri.ends_with(&format!("/v1/customers/cus_1?{expand}")), "{}", sent[0].uri);
    let list = "/v1/customers/cus_1/payment_methods?type=card&limit=1";
    assert!(sent[1].uri.ends_with(list), "{}", sent[1].uri);
}
