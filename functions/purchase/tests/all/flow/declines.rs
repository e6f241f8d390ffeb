//! Payments that the bank or Stripe refuses, in plain words and with the raw code.

use serde_json::{Value, json};
use stripe::IntentStatus;

use crate::support::{Act, Shop, TEAM, in_shop};

/// Orders a purchase that is refused. Returns the reason and the code.
async fn refused(shop: &Shop, key: &str) -> (String, Option<String>) {
    let (status, body) = shop.order(key).await;
    assert_eq!(status, 402, "{body}");
    assert_eq!(body["type"], "/problems/payment-failed");
    let failed = shop.purchases().await.remove(0);
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("failed"), &body["reason"]));
    assert_eq!(shop.credits().await, 0);
    let code = failed.get("code").and_then(Value::as_str).map(str::to_owned);
    (failed["reason"].as_str().unwrap().to_owned(), code)
}

#[test]
fn a_decline_of_a_test_card_has_a_reason() {
    for (number, code, reason) in [
        (
            "4000000000000002",
            "generic_decline",
            "the card was declined; use another card or contact the bank",
        ),
        ("4000000000009995", "insufficient_funds", "the card has insufficient funds"),
        ("4000000000000069", "expired_card", "the card has expired"),
        ("4000000000000127", "incorrect_cvc", "the security code of the card is wrong"),
        (
            "4000000000000119",
            "processing_error",
            "the bank could not process the payment; try again later",
        ),
    ] {
        in_shop(TEAM, async |shop| {
            shop.store_card(number).await;
            let found = refused(&shop, "k").await;
            assert_eq!(found, (reason.to_owned(), Some(code.to_owned())));
            assert_eq!((shop.attempts(), shop.taken()), (1, 0));
        });
    }
}

/// A browser with the return URL could confirm the payment with another card.
#[test]
fn a_declined_payment_is_cancelled() {
    in_shop(TEAM, async |shop| {
        shop.store_card("4000000000009995").await;
        refused(&shop, "k").await;
        let declined = shop.account.account().intents().next().unwrap().status;
        assert_eq!(declined, IntentStatus::Canceled);
    });
}

/// The same key is the same purchase. A new order with another card has another key.
#[test]
fn a_declined_purchase_is_not_charged_again() {
    in_shop(TEAM, async |shop| {
        shop.store_card("4000000000009995").await;
        let first = refused(&shop, "k").await;
        shop.store_card("4242424242424242").await;
        assert_eq!(refused(&shop, "k").await, first);
        assert_eq!(shop.attempts(), 1);
        assert_eq!(shop.order("other").await.0, 201);
        assert_eq!(shop.credits().await, 5_000);
    });
}

/// The reason and the code of a purchase whose payment has this error.
async fn after(shop: &Shop, key: &str, error: Value) -> (String, Option<String>) {
    let intent = json!({
        "id": "pi_1", "status": "requires_payment_method", "amount": 5_000, "currency": "usd",
        "last_payment_error": error,
    });
    shop.wire.play(move |seen| match (seen.method.as_str(), seen.path()) {
        ("POST", path) if path.ends_with("/confirm") => Act::error(402, "card_error"),
        ("GET", path) if path.contains("/payment_intents/") => Act::json(200, &intent),
        _ => Act::Pass,
    });
    refused(shop, key).await
}

/// The code of the bank is more precise than Stripe's. The bank asks not to state a lost or stolen card.
#[test]
fn the_code_of_the_bank_decides() {
    in_shop(TEAM, async |shop| {
        let declined = "the card was declined; use another card or contact the bank";
        for (decline_code, reason) in [
            ("insufficient_funds", "the card has insufficient funds"),
            ("stolen_card", declined),
            ("lost_card", declined),
            ("a_new_code", declined),
            (
                "card_velocity_exceeded",
                "the card has reached its limit; try later or use another card",
            ),
            ("card_not_supported", "the card does not support this payment; use another card"),
            (
                "authentication_required",
                "the bank requires the card holder to confirm the payment; buy in person",
            ),
        ] {
            let error = json!({ "code": "card_declined", "decline_code": decline_code });
            let found = after(&shop, decline_code, error).await;
            assert_eq!(found, (reason.to_owned(), Some(decline_code.to_owned())));
        }
    });
}

#[test]
fn without_a_code_of_the_bank_that_of_stripe_is_kept() {
    in_shop(TEAM, async |shop| {
        let error = json!({ "code": "expired_card", "decline_code": null });
        let expected = ("the card has expired".to_owned(), Some("expired_card".to_owned()));
        assert_eq!(after(&shop, "one", error).await, expected);
        for (key, error) in [("two", json!({})), ("three", Value::Null)] {
            let (reason, code) = after(&shop, key, error).await;
            let declined = "the card was declined; use another card or contact the bank";
            assert_eq!((reason.as_str(), code), (declined, None));
        }
    });
}

/// Stripe refuses to make the payment.
#[test]
fn a_payment_that_stripe_refuses_fails() {
    for (code, reason) in [
        ("amount_too_small", "the amount is below the payment provider's minimum"),
        ("amount_too_large", "the amount is above the payment provider's maximum"),
        ("other", "the payment provider refused the payment; contact support"),
    ] {
        in_shop(TEAM, async |shop| {
            let refusal = json!({ "error": { "type": "invalid_request_error", "code": code } });
            shop.wire.play(move |seen| match (seen.method.as_str(), seen.path()) {
                ("POST", "/v1/payment_intents") => Act::json(400, &refusal),
                _ => Act::Pass,
            });
            assert_eq!(refused(&shop, "k").await, (reason.to_owned(), Some(code.to_owned())));
        });
    }
}
