//! Failed calls and their meaning.

use std::time::Duration;

use purchase::stripe::Reply;
use serde_json::json;
use shared::domain::Error;
use stripe::{Account, Faults, Simulated};
use tokio::time::{Instant, timeout};

use super::fixtures::{card, client, id, intent, purchase};
use crate::support::{Act, TEAM, Wire, now, team};

fn keys(wire: &Wire) -> Vec<String> {
    let seen = wire.take();
    let keys = seen.iter().filter_map(|seen| seen.header("idempotency-key"));
    keys.map(str::to_owned).collect()
}

/// Stripe repeats a stored internal error for a day, whether or not the request had an effect.
#[tokio::test(start_paused = true)]
async fn a_stored_internal_error_is_overcome_with_another_key() {
    for faults in [
        Faults { error_before_percent: 100, ..Faults::NONE },
        Faults { error_after_percent: 100, ..Faults::NONE },
    ] {
        let account = Account::new("https://pay.example");
        let account = Simulated::new(account, || now().timestamp().as_second());
        let wire = Wire::to(account.connector());
        let (client, purchase) = (client(&wire), purchase());
        let customer = client.customer_create(&team(TEAM)).await.unwrap();
        let card = client.customer_read(&customer).await.unwrap().unwrap().card.unwrap();
        wire.take();

        account.set_faults(faults);
        let first = client.intent_create(&purchase, &customer, &card).await;
        assert!(matches!(first, Err(Error::Busy)), "{first:?}");
        assert_eq!(keys(&wire), [purchase.id.as_str()], "the first error is not sent again");

        account.set_faults(Faults::NONE);
        let second = client.intent_create(&purchase, &customer, &card).await.unwrap();
        assert!(matches!(second, Reply::Accepted(_)), "{second:?}");
        let keys = keys(&wire);
        assert_eq!(keys.len(), 2, "{keys:?}");
        assert_eq!(keys[0], purchase.id.as_str());
        assert!(keys[1].starts_with(&format!("{}-", purchase.id)), "{keys:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_used_with_other_fields_is_replaced() {
    let account = Account::new("https://pay.example");
    let account = Simulated::new(account, || now().timestamp().as_second());
    let wire = Wire::to(account.connector());
    let (client, purchase) = (client(&wire), purchase());
    let customer = client.customer_create(&team(TEAM)).await.unwrap();
    let card = client.customer_read(&customer).await.unwrap().unwrap().card.unwrap();
    client.intent_create(&purchase, &customer, &card).await.unwrap();
    assert!(account.account().attach_card(customer.as_str(), "5555555555554444"));
    let other = client.customer_read(&customer).await.unwrap().unwrap().card.unwrap();
    assert_ne!(other.id, card.id);
    wire.take();
    let second = client.intent_create(&purchase, &customer, &other).await.unwrap();
    assert!(matches!(second, Reply::Accepted(_)), "{second:?}");
    let keys = keys(&wire);
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert_ne!(keys[0], keys[1]);
}

/// It is sent once more, not again and again.
#[tokio::test(start_paused = true)]
async fn another_key_is_tried_once() {
    let failure = r#"{"error":{"type":"api_error"}}"#;
    let wire = Wire::scripted(move |_| Act::Replay(500, failure.to_owned()));
    let created = client(&wire).intent_create(&purchase(), &id("cus_1"), &card("pm_1")).await;
    assert!(matches!(created, Err(Error::Busy)), "{created:?}");
    assert_eq!(keys(&wire).len(), 2);

    let cancelled = client(&wire).intent_cancel(&id("pi_1")).await;
    assert!(matches!(cancelled, Err(Error::Busy)), "{cancelled:?}");
    assert_eq!(wire.take().len(), 1, "a request without a key");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_decline_is_not_sent_again() {
    let decline = r#"{"error":{"type":"card_error","code":"card_declined"}}"#;
    let wire = Wire::answering([Act::Replay(402, decline.to_owned())]);
    let reply = client(&wire).intent_confirm(&id("pi_1"), &purchase()).await.unwrap();
    let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
    assert_eq!(
        (refusal.kind.as_str(), refusal.code.as_deref()),
        ("card_error", Some("card_declined"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_result_is_unknown_is_busy() {
    for act in [
        Act::error(409, "invalid_request_error"),
        Act::error(429, "invalid_request_error"),
        Act::error(500, "api_error"),
        Act::Answer(502, "<html>".to_owned()),
        Act::Answer(503, String::new()),
        Act::Break,
    ] {
        let again = act.clone();
        let wire = Wire::scripted(move |_| again.clone());
        let client = client(&wire);
        let created = client.intent_create(&purchase(), &id("cus_1"), &card("pm_1")).await;
        assert!(matches!(created, Err(Error::Busy)), "{act:?}: {created:?}");
        let read = client.intent_read(&id("pi_1")).await;
        assert!(matches!(read, Err(Error::Busy)), "{act:?}: {read:?}");
    }
}

/// A server closes connections while a function is frozen.
#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_with_its_key_if_the_connection_breaks() {
    let paid = Act::json(200, &intent("succeeded"));
    let wire = Wire::answering([Act::Break, paid]);
    let reply = client(&wire).intent_confirm(&id("pi_1"), &purchase()).await.unwrap();
    assert!(matches!(reply, Reply::Accepted(_)), "{reply:?}");
    let seen = wire.take();
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!(keys, [Some("pi_1-confirm"), Some("pi_1-confirm")]);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_and_unknown_shapes_are_internal_errors() {
    for act in [
        Act::error(401, "invalid_request_error"),
        Act::error(403, "invalid_request_error"),
        Act::Answer(200, "<html>".to_owned()),
        Act::json(200, &json!({ "object": "payment_intent" })),
        Act::Answer(400, "<html>".to_owned()),
        Act::Answer(302, String::new()),
    ] {
        let wire = Wire::answering([act.clone()]);
        let read = client(&wire).intent_read(&id("pi_1")).await.unwrap_err();
        assert!(matches!(read, Error::Internal(_)), "{act:?}: {read:?}");
        assert!(!format!("{read} {read:?}").contains("sk_test_1"), "{read:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_is_none_and_another_refusal_an_error() {
    let missing =
        json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
    let wire = Wire::scripted(move |_| Act::json(404, &missing));
    let client_of_none = client(&wire);
    assert!(client_of_none.intent_read(&id("pi_1")).await.unwrap().is_none());
    assert!(client_of_none.session_read(&id("cs_1")).await.unwrap().is_none());
    // A customer of another account is not replaced.
    let customer = client_of_none.customer_read(&id("cus_1")).await;
    assert!(matches!(customer, Err(Error::Internal(_))), "{customer:?}");

    let wire = Wire::scripted(|_| Act::error(400, "invalid_request_error"));
    let read = client(&wire).intent_read(&id("pi_1")).await.unwrap_err();
    assert!(matches!(read, Error::Internal(_)), "{read:?}");
    assert!(read.to_string().contains("a reason"), "the log has Stripe's text: {read}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_ends_after_eight_seconds() {
    let wire = Wire::answering([Act::Hang]);
    let began = Instant::now();
    let read = timeout(Duration::from_mins(1), client(&wire).intent_read(&id("pi_1"))).await;
    assert!(matches!(read, Ok(Err(Error::Busy))), "{read:?}");
    let elapsed = began.elapsed();
    assert!((8_000..8_010).contains(&elapsed.as_millis()), "{elapsed:?}");
}

/// The deadline of an invocation may come first.
#[tokio::test(start_paused = true)]
async fn a_call_ends_at_the_deadline_of_the_invocation() {
    let wire = Wire::answering([Act::Hang]);
    let began = Instant::now();
    let (client, id) = (client(&wire), id("pi_1"));
    let time = Some(Duration::from_secs(2));
    let read = shared::aws::retry::with_deadline(time, client.intent_read(&id)).await;
    assert!(matches!(read, Err(Error::Busy)), "{read:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_accepted_call_is_sent_once() {
    let wire = Wire::answering([Act::Replay(200, intent("succeeded").to_string())]);
    let reply = client(&wire).intent_confirm(&id("pi_1"), &purchase()).await.unwrap();
    assert!(matches!(reply, Reply::Accepted(_)), "{reply:?}");
}
