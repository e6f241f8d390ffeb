//! Idempotency keys.

use serde_json::json;

use crate::testing::{NOW, account, keyed, request};

const DAY: i64 = 86_400;

#[test]
fn a_repeated_request_gets_the_first_answer_for_24_hours() {
    let mut account = account();
    let create = keyed("k", "/v1/customers", &[("name", "A"), ("metadata[team]", "t")]);
    let first = account.answer(&create, NOW);
    let other_order = keyed("k", "/v1/customers", &[("metadata[team]", "t"), ("name", "A")]);
    for repeated in [&create, &other_order] {
        let replay = account.answer(repeated, NOW + DAY - 1);
        assert!(replay.is_replay && !first.is_replay);
        assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    }
    let later = account.answer(&create, NOW + DAY);
    assert!(!later.is_replay);
    assert_eq!((&first.body["id"], &later.body["id"]), (&json!("cus_1"), &json!("cus_2")));
}

#[test]
fn a_key_is_for_one_request() {
    let mut account = account();
    account.answer(&keyed("k", "/v1/customers", &[("name", "A")]), NOW);
    for other in [
        keyed("k", "/v1/customers", &[("name", "B")]),
        keyed("k", "/v1/payment_intents", &[("name", "A")]),
    ] {
        let answer = account.answer(&other, NOW);
        assert_eq!((answer.status, answer.is_replay), (400, false));
        assert_eq!(answer.body["error"]["type"], "idempotency_error");
    }
    assert_eq!(account.answer(&keyed(&"k".repeat(256), "/v1/customers", &[]), NOW).status, 400);
}

#[test]
fn a_decline_is_replayed_and_confirms_once() {
    let mut account = account();
    let id = account.intent_with("4000000000000002", "50");
    let confirm = keyed("k", &format!("/v1/payment_intents/{id}/confirm"), &[]);
    let first = account.answer(&confirm, NOW);
    let replay = account.answer(&confirm, NOW);
    assert_eq!((first.status, replay.status, replay.is_replay), (402, 402, true));
    assert_eq!(first.body, replay.body);
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.confirms, intent.charge_attempts), (1, 1));
}

/// The state of the intent was read, so the endpoint was executed.
#[test]
fn a_refusal_of_the_state_is_replayed() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    account.confirm(&id, &[]);
    let cancel = keyed("k", &format!("/v1/payment_intents/{id}/cancel"), &[]);
    assert!(!account.answer(&cancel, NOW).is_replay);
    assert!(account.answer(&cancel, NOW).is_replay);
}

#[test]
fn refused_requests_are_not_stored() {
    let mut account = account();
    let invalid = keyed("a", "/v1/payment_intents", &[("amount", "x"), ("currency", "usd")]);
    let unknown = keyed("b", "/v1/payment_intents/pi_1/cancel", &[]);
    let mut unauthorized = keyed("c", "/v1/customers", &[]);
    unauthorized.secret_key = None;
    for (request, status) in [(&invalid, 400), (&unknown, 404), (&unauthorized, 401)] {
        for _ in 0..2 {
            let answer = account.answer(request, NOW);
            assert_eq!((answer.status, answer.is_replay), (status, false));
        }
    }
    let valid = keyed("a", "/v1/payment_intents", &[("amount", "50"), ("currency", "usd")]);
    assert_eq!(account.answer(&valid, NOW).status, 200);
    assert_eq!(account.answer(&unknown, NOW).status, 200);
    unauthorized.secret_key = Some("sk_test_1".to_owned());
    assert_eq!(account.answer(&unauthorized, NOW).status, 200);
}

#[test]
fn a_server_error_without_effect_is_replayed() {
    let mut account = account();
    let create = keyed("k", "/v1/customers", &[]);
    let failed = account.fail_before(&create, NOW);
    assert_eq!((failed.status, &failed.body["error"]["type"]), (500, &json!("api_error")));
    let replay = account.answer(&create, NOW);
    assert_eq!((replay.status, replay.is_replay), (500, true));
    assert_eq!(account.get("/v1/customers/cus_1", &[]).status, 404);
    assert_eq!(account.answer(&create, NOW + DAY).status, 200);
}

#[test]
fn a_server_error_with_an_effect_is_replayed() {
    let mut account = account();
    let id = account.intent_with("4242424242424242", "50");
    let confirm = keyed("k", &format!("/v1/payment_intents/{id}/confirm"), &[]);
    assert_eq!(account.fail_after(&confirm, NOW).status, 500);
    assert_eq!(account.intent(&id)["status"], "succeeded");
    let replay = account.answer(&confirm, NOW);
    assert_eq!((replay.status, replay.is_replay), (500, true));
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.confirms, intent.charge_attempts), (1, 1));
}

#[test]
fn a_server_error_does_not_replace_a_stored_answer_or_a_refusal() {
    let mut account = account();
    let create = keyed("k", "/v1/customers", &[]);
    account.answer(&create, NOW);
    for answer in [account.fail_before(&create, NOW), account.fail_after(&create, NOW)] {
        assert_eq!((answer.status, answer.is_replay), (200, true));
    }
    let unknown = keyed("b", "/v1/payment_intents/pi_1/cancel", &[]);
    assert_eq!(account.fail_after(&unknown, NOW).status, 404);
    assert!(!account.answer(&unknown, NOW).is_replay);
}

#[test]
fn a_read_has_no_key() {
    let mut account = account();
    account.customer();
    let mut read = request("GET", "/v1/customers/cus_1", &[]);
    read.idempotency_key = Some("k".to_owned());
    account.answer(&read, NOW);
    assert!(!account.answer(&read, NOW).is_replay);
    assert_eq!(account.fail_before(&read, NOW).status, 500);
    assert_eq!(account.answer(&read, NOW).status, 200);
}
