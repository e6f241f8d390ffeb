//! The 3-D Secure step of an intent.

use serde_json::{Value, json};

use crate::testing::{NOW, account};
use crate::{IntentStatus, Outcome, PageKind, PageStatus};

const RETURN_URL: (&str, &str) = ("return_url", "https://shop.test/after?a=1");

fn returned(status: &str) -> Outcome {
    Outcome::Redirect(format!(
        "https://shop.test/after?a=1&payment_intent=pi_1&payment_intent_client_secret=pi_1_secret&redirect_status={status}"
    ))
}

#[test]
fn an_accepted_step_pays_the_intent() {
    for number in ["4000002500003155", "4000002760003184"] {
        let mut account = account();
        let id = account.intent_with(number, "50");
        let answer = account.confirm(&id, &[RETURN_URL]);
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("requires_action")));
        assert_eq!(
            answer.body["next_action"],
            json!({
                "type": "redirect_to_url",
                "redirect_to_url": { "url": "https://pay.test/p/pi_1", "return_url": RETURN_URL.1 },
            }),
        );
        assert_eq!(account.intents().next().unwrap().charge_attempts, 0);
        assert_eq!(account.kinds().last().unwrap(), "payment_intent.requires_action");
        let page = account.page(&id).unwrap();
        assert_eq!((page.kind, page.status), (PageKind::Authentication, PageStatus::Open));
        assert_eq!(page.amount, Some((5000, "usd".to_owned())));
        assert_eq!(account.leave(&id, NOW), returned("failed"));
        assert_eq!(account.intents().next().unwrap().status, IntentStatus::RequiresAction);

        assert_eq!(account.authenticate(&id, true, NOW), returned("succeeded"));
        assert_eq!(account.kinds(), ["charge.succeeded", "payment_intent.succeeded"]);
        assert_eq!(account.page(&id).unwrap().status, PageStatus::Complete);
        assert!(matches!(account.authenticate(&id, true, NOW), Outcome::Declined(_)));
        let intent = account.intents().next().unwrap();
        assert_eq!((intent.charge_attempts, intent.amount_received), (1, 5000));
    }
}

#[test]
fn a_refused_step_fails_the_payment() {
    let mut account = account();
    let id = account.intent_with("4000002500003155", "50");
    account.confirm(&id, &[RETURN_URL]);
    account.take_events();
    assert_eq!(account.authenticate(&id, false, NOW), returned("failed"));
    assert_eq!(account.kinds(), ["payment_intent.payment_failed"]);
    let intent = account.intent(&id);
    assert_eq!(
        (&intent["status"], &intent["payment_method"]),
        (&json!("requires_payment_method"), &Value::Null)
    );
    assert_eq!(intent["last_payment_error"]["code"], "payment_intent_authentication_failure");
    assert_eq!(intent["last_payment_error"]["type"], "invalid_request_error");
    assert_eq!((&intent["latest_charge"], &intent["next_action"]), (&Value::Null, &Value::Null));
    assert_eq!(account.intents().next().unwrap().charge_attempts, 0);
}

#[test]
fn a_step_without_its_customer_is_a_decline() {
    for option in ["off_session", "error_on_requires_action"] {
        let mut account = account();
        let id = account.intent_with("4242424242424242", "202");
        let answer = account.confirm(&id, &[(option, "true")]);
        assert_eq!(answer.status, 402);
        let error = &answer.body["error"];
        assert_eq!(error["code"], "authentication_required");
        assert_eq!(error["decline_code"], "authentication_required");
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        assert_eq!(account.intents().next().unwrap().charge_attempts, 1);
    }
}

#[test]
fn a_step_without_a_return_url_is_left_to_the_script() {
    let mut account = account();
    let id = account.intent_with("4000002500003155", "50");
    assert_eq!(account.confirm(&id, &[]).body["next_action"]["type"], "use_stripe_sdk");
    let own_page = Outcome::Redirect("https://pay.test/p/pi_1".to_owned());
    assert_eq!(account.authenticate(&id, true, NOW), own_page);
}

#[test]
fn a_canceled_step_cannot_be_taken() {
    let mut account = account();
    let id = account.intent_with("4000002500003155", "50");
    account.confirm(&id, &[RETURN_URL]);
    assert_eq!(account.post(&format!("/v1/payment_intents/{id}/cancel"), &[]).status, 200);
    assert!(matches!(account.authenticate(&id, true, NOW), Outcome::Declined(_)));
    assert_eq!(account.page(&id).unwrap().status, PageStatus::Expired);
    assert_eq!(account.intents().next().unwrap().amount_received, 0);
    assert_eq!(account.authenticate("pi_9", true, NOW), Outcome::Unknown);
}
