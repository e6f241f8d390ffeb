//! Purchases that are paid by the stored card.

use std::time::Duration;

use purchase::pending;
use shared::domain::payment::PaymentObject;
use stripe::{IntentStatus, Outcome};
use tokio::time::sleep;

use crate::support::{Act, TEAM, in_shop};

/// A card whose bank asks for 3-D Secure.
const NEEDS_A_STEP: &str = "4000002500003155";

#[test]
fn a_stored_card_is_charged_at_once() {
    in_shop(TEAM, async |shop| {
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 201, "{body}");
        let purchase = &body["purchase"];
        assert_eq!(
            (purchase["status"].as_str(), purchase.get("next_action")),
            (Some("paid"), None)
        );
        assert_eq!((shop.credits().await, shop.taken(), shop.attempts()), (5_000, 5_000, 1));
        assert_eq!(
            shop.wire.lines(),
            [
                "POST /v1/customers",
                "GET /v1/customers/cus_1",
                "GET /v1/customers/cus_1/payment_methods",
                "POST /v1/payment_intents",
                "POST /v1/payment_intents/pi_1/confirm",
            ],
        );
        let receipt = shop.stored().await.receipt.unwrap();
        assert_eq!(receipt.payment.as_str(), "pi_1");
        assert_eq!(receipt.url.as_deref(), Some("https://pay.example/pi_1"));
        assert_eq!(shop.purchases().await[0]["receipt_url"], "https://pay.example/pi_1");
    });
}

#[test]
fn a_replay_sends_nothing_to_stripe() {
    in_shop(TEAM, async |shop| {
        let (_, first) = shop.order("k").await;
        shop.wire.take();
        let (status, second) = shop.order("k").await;
        assert_eq!((status, second), (200, first));
        assert_eq!(shop.wire.lines(), [""; 0]);
        assert_eq!(shop.credits().await, 5_000);
    });
}

#[test]
fn a_second_purchase_makes_no_second_customer() {
    in_shop(TEAM, async |shop| {
        shop.order("first").await;
        shop.wire.take();
        assert_eq!(shop.order("second").await.0, 201);
        assert!(!shop.wire.lines().contains(&"POST /v1/customers".to_owned()));
        assert_eq!((shop.credits().await, shop.taken()), (10_000, 10_000));
    });
}

/// Every later process finds the payment by its id, so no payment is confirmed before its id is stored.
#[test]
fn the_id_of_a_payment_is_stored_before_it_is_confirmed() {
    in_shop(TEAM, async |shop| {
        shop.wire
            .play(|seen| if seen.path().ends_with("/confirm") { Act::Break } else { Act::Pass });
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 503, "{body}");
        let stored = shop.stored().await.payment.unwrap();
        assert_eq!(stored.customer.as_str(), "cus_1");
        let PaymentObject::Intent(id) = stored.object else { panic!("{stored:?}") };
        {
            let account = shop.account.account();
            let intents: Vec<_> = account.intents().collect();
            assert_eq!(intents.len(), 1);
            assert_eq!(intents[0].id, id.as_str());
            assert_eq!(intents[0].status, IntentStatus::RequiresConfirmation);
        }
        assert_eq!((shop.attempts(), shop.credits().await), (0, 0));

        shop.wire.play(|_| Act::Pass);
        let (status, body) = shop.order("k").await;
        assert_eq!((status, body["purchase"]["status"].as_str()), (200, Some("paid")), "{body}");
        assert_eq!(shop.account.account().intents().count(), 1);
        assert_eq!((shop.attempts(), shop.credits().await), (1, 5_000));
    });
}

/// The confirmation took the money, and its answer is lost.
#[test]
fn a_lost_confirmation_is_looked_up() {
    in_shop(TEAM, async |shop| {
        let account = shop.account.clone();
        let now = shop.second();
        shop.wire.play(move |seen| {
            if !seen.path().ends_with("/confirm") {
                return Act::Pass;
            }
            let fields = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
            let answer = account.account().answer(
                &stripe::Request {
                    method: "POST".to_owned(),
                    path: seen.path().to_owned(),
                    fields,
                    idempotency_key: seen.header("idempotency-key").map(str::to_owned),
                    secret_key: Some("sk_test_1".to_owned()),
                },
                now,
            );
            assert_eq!(answer.status, 200, "{}", answer.body);
            Act::Break
        });
        let (status, body) = shop.order("k").await;
        assert_eq!((status, body["purchase"]["status"].as_str()), (201, Some("paid")), "{body}");
        assert_eq!((shop.attempts(), shop.credits().await), (1, 5_000));
    });
}

/// The payment that cannot be read is not taken for a failed one.
#[test]
fn a_purchase_stays_pending_while_stripe_does_not_answer() {
    in_shop(TEAM, async |shop| {
        shop.wire.play(|_| Act::Break);
        assert_eq!(shop.order("k").await.0, 503);
        assert_eq!(shop.purchases().await[0]["status"], "pending");
        shop.wire.play(|_| Act::Pass);
        assert_eq!(shop.order("k").await.0, 200);
        assert_eq!(shop.credits().await, 5_000);
    });
}

#[test]
fn a_bank_can_ask_for_a_step() {
    in_shop(TEAM, async |shop| {
        shop.store_card(NEEDS_A_STEP).await;
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 202, "{body}");
        let step = body["purchase"]["next_action"].clone();
        assert_eq!(step["type"], "redirect");
        let url = step["url"].as_str().unwrap();
        assert_eq!((shop.credits().await, shop.taken()), (0, 0));
        let (status, again) = shop.order("k").await;
        assert_eq!((status, &again["purchase"]["next_action"]), (202, &step), "the same page");

        let Outcome::Redirect(back) = shop.take_step(url, true) else { panic!("no way back") };
        let id = body["purchase"]["id"].as_str().unwrap();
        let returns = format!("https://app.example/billing?purchase={id}");
        assert!(back.starts_with(&returns), "{back}");
        assert_eq!(shop.credits().await, 0, "the way back is no proof of a payment");
        shop.deliver().await;
        assert_eq!((shop.credits().await, shop.attempts()), (5_000, 1));
        let (status, body) = shop.order("k").await;
        assert_eq!((status, body["purchase"]["status"].as_str()), (200, Some("paid")));
    });
}

#[test]
fn a_refused_step_fails_the_purchase() {
    in_shop(TEAM, async |shop| {
        shop.store_card(NEEDS_A_STEP).await;
        let (_, body) = shop.order("k").await;
        let url = body["purchase"]["next_action"]["url"].as_str().unwrap().to_owned();
        shop.take_step(&url, false);
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 402, "{body}");
        assert_eq!(body["reason"], "the card holder did not confirm the payment with the bank");
        let failed = &shop.purchases().await[0];
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["code"], "payment_intent_authentication_failure");
        assert_eq!((shop.credits().await, shop.taken()), (0, 0));
    });
}

/// The payment is cancelled, so the step is not possible later.
#[test]
fn a_step_that_is_not_taken_fails_the_purchase_after_a_day() {
    in_shop(TEAM, async |shop| {
        shop.store_card(NEEDS_A_STEP).await;
        let (_, body) = shop.order("k").await;
        let url = body["purchase"]["next_action"]["url"].as_str().unwrap().to_owned();
        sleep(Duration::from_hours(23)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.waiting, done.errors), (1, 0), "{done:?}");
        sleep(Duration::from_hours(1)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.failed, done.errors), (1, 0), "{done:?}");
        let reason = "the payment was not completed within a day";
        assert_eq!(shop.purchases().await[0]["reason"], reason);
        let outcome = shop.take_step(&url, true);
        assert!(matches!(outcome, Outcome::Declined(_)), "{outcome:?}");
        assert_eq!((shop.taken(), shop.credits().await), (0, 0));
    });
}

/// Stripe does not accept the request, such as for a return URL that is none. The payment can take no money afterwards.
#[test]
fn a_confirmation_that_is_refused_ends_the_purchase() {
    in_shop(TEAM, async |shop| {
        shop.wire.play(|seen| {
            if seen.path().ends_with("/confirm") {
                Act::error(400, "invalid_request_error")
            } else {
                Act::Pass
            }
        });
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 402, "{body}");
        assert!(body["reason"].as_str().unwrap().contains("contact support"), "{body}");
        let status = shop.account.account().intents().next().unwrap().status;
        assert_eq!((status, shop.taken()), (IntentStatus::Canceled, 0));
    });
}
