//! Payments whose result arrives later.

use serde_json::{Value, json};

use crate::testing::{NOW, account};
use crate::{IntentStatus, Outcome};

#[test]
fn an_intent_is_processed_until_it_succeeds() {
    let mut account = account();
    account.set_processing(true);
    let id = account.intent_with("4242424242424242", "50");
    assert_eq!(account.confirm(&id, &[]).body["status"], "processing");
    assert_eq!(account.kinds(), ["payment_intent.created", "payment_intent.processing"]);
    assert_eq!(account.intent(&id)["latest_charge"]["status"], "pending");
    for act in ["confirm", "cancel"] {
        let answer = account.post(&format!("/v1/payment_intents/{id}/{act}"), &[]);
        assert_eq!(answer.body["error"]["code"], "payment_intent_unexpected_state", "{act}");
    }
    account.finish_processing(&id, true, NOW);
    account.finish_processing(&id, false, NOW);
    assert_eq!(account.kinds(), ["charge.succeeded", "payment_intent.succeeded"]);
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.status, intent.charge_attempts), (IntentStatus::Succeeded, 1));
}

#[test]
fn an_intent_is_processed_until_it_fails() {
    let mut account = account();
    account.set_processing(true);
    let id = account.intent_with("4242424242424242", "50");
    account.confirm(&id, &[]);
    account.finish_processing(&id, false, NOW);
    assert_eq!(account.kinds().last().unwrap(), "payment_intent.payment_failed");
    let intent = account.intent(&id);
    assert_eq!(
        (&intent["status"], &intent["payment_method"]),
        (&json!("requires_payment_method"), &Value::Null)
    );
    assert_eq!(intent["last_payment_error"]["code"], "card_declined");
    assert_eq!(intent["latest_charge"]["status"], "failed");
    account.set_processing(false);
    assert_eq!(account.confirm(&id, &[("payment_method", "pm_1")]).body["status"], "succeeded");
}

#[test]
fn a_session_is_complete_before_it_is_paid() {
    for (succeeds, last, status) in [
        (true, "checkout.session.async_payment_succeeded", "paid"),
        (false, "checkout.session.async_payment_failed", "unpaid"),
    ] {
        let mut account = account();
        account.set_processing(true);
        account.checkout(&[]);
        let outcome = account.pay("cs_test_1", "4242424242424242", NOW);
        assert!(matches!(outcome, Outcome::Redirect(_)));
        let session = account.get("/v1/checkout/sessions/cs_test_1", &[]).body;
        assert_eq!(
            (&session["status"], &session["payment_status"]),
            (&json!("complete"), &json!("unpaid"))
        );
        assert_eq!(account.kinds().last().unwrap(), "checkout.session.completed");
        account.finish_processing("pi_1", succeeds, NOW);
        assert_eq!(account.kinds().last().unwrap(), last);
        let session = account.get("/v1/checkout/sessions/cs_test_1", &[]).body;
        assert_eq!(session["payment_status"], status);
        assert!(matches!(account.pay("cs_test_1", "4242424242424242", NOW), Outcome::Declined(_)));
    }
}
