//! Stripe's messages.

use serde_json::json;
use shared::domain::ledger::entry::Details;
use shared::store::history::Selection;
use stripe::signature;

use crate::support::{Act, Shop, TEAM, WEBHOOK_SECRET, in_shop};

const STEP: &str = "4000002500003155";

/// A purchase that was paid on the page of the bank. Its messages are not delivered yet.
async fn paid_but_unknown(shop: &Shop) {
    shop.store_card(STEP).await;
    let (_, body) = shop.order("k").await;
    let url = body["purchase"]["next_action"]["url"].as_str().unwrap();
    shop.account.account().take_events();
    shop.take_step(url, true);
    assert_eq!((shop.taken(), shop.credits().await), (5_000, 0));
}

/// A message with this type and object.
fn message(kind: &str, object: &serde_json::Value) -> String {
    json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string()
}

/// Posts a message with a valid signature.
async fn post(shop: &Shop, body: &str) -> u16 {
    shop.post(body, &signature(body, &[WEBHOOK_SECRET], shop.second())).await
}

#[test]
fn only_a_signed_message_is_accepted() {
    in_shop(TEAM, async |shop| {
        paid_but_unknown(&shop).await;
        shop.wire.take();
        let body = message(
            "payment_intent.succeeded",
            &json!({ "id": "pi_1", "object": "payment_intent" }),
        );
        let now = shop.second();
        for wrong in [
            String::new(),
            signature(&body, &["whsec_2"], now),
            signature(&body, &[WEBHOOK_SECRET], now - 301),
            signature(&format!("{body} "), &[WEBHOOK_SECRET], now),
        ] {
            assert_eq!(shop.post(&body, &wrong).await, 400, "{wrong}");
        }
        assert_eq!((shop.credits().await, shop.wire.lines().len()), (0, 0));
        assert_eq!(shop.post(&body, &signature(&body, &[WEBHOOK_SECRET], now - 300)).await, 200);
        assert_eq!(shop.credits().await, 5_000);
    });
}

#[test]
fn a_repeated_message_adds_nothing() {
    in_shop(TEAM, async |shop| {
        paid_but_unknown(&shop).await;
        let events = shop.account.account().take_events();
        assert!(events.len() > 1, "{events:?}");
        // Also in another order.
        for event in events.iter().rev().chain(&events) {
            assert_eq!(post(&shop, &event.body).await, 200);
        }
        assert_eq!((shop.credits().await, shop.purchases().await.len()), (5_000, 1));
    });
}

/// The message names the payment, and the payment is read from Stripe.
#[test]
fn the_content_of_a_message_is_not_trusted() {
    in_shop(TEAM, async |shop| {
        shop.store_card(STEP).await;
        assert_eq!(shop.order("k").await.0, 202);
        let id = shop.stored().await.id;
        let claim = json!({
            "id": "pi_1", "object": "payment_intent", "status": "succeeded",
            "amount_received": 5_000, "metadata": { "team": TEAM, "purchase": id },
        });
        assert_eq!(post(&shop, &message("payment_intent.succeeded", &claim)).await, 200);
        assert_eq!(
            (shop.credits().await, shop.purchases().await[0]["status"].as_str()),
            (0, Some("pending"))
        );
    });
}

#[test]
fn messages_about_other_things_are_accepted_and_ignored() {
    in_shop(TEAM, async |shop| {
        for body in [
            message("customer.created", &json!({ "id": "cus_1", "object": "customer" })),
            message(
                "charge.succeeded",
                &json!({ "id": "ch_1", "object": "charge", "payment_intent": null }),
            ),
            message("new", &json!({})),
            json!({ "type": "v2.core.event", "related_object": {} }).to_string(),
        ] {
            assert_eq!(post(&shop, &body).await, 200, "{body}");
        }
        assert_eq!(shop.purchases().await.len(), 0);
    });
}

/// Stripe delivers a message again that is refused. The secret may be that of another account for a while.
#[test]
fn a_message_about_an_unknown_payment_or_of_an_unknown_shape_is_refused() {
    in_shop(TEAM, async |shop| {
        for (kind, object, status) in [
            ("payment_intent.succeeded", json!({ "id": "pi_77", "object": "payment_intent" }), 500),
            (
                "checkout.session.expired",
                json!({ "id": "cs_77", "object": "checkout.session" }),
                500,
            ),
            ("charge.refunded", json!({ "object": "charge", "payment_intent": { "id": 7 } }), 400),
        ] {
            assert_eq!(post(&shop, &message(kind, &object)).await, status, "{kind}");
        }
        assert_eq!(post(&shop, "[]").await, 400);
    });
}

/// Stripe delivers the message again.
#[test]
fn a_message_is_refused_while_its_payment_cannot_be_read() {
    in_shop(TEAM, async |shop| {
        paid_but_unknown(&shop).await;
        let event = shop.account.account().take_events().pop().unwrap();
        shop.wire.play(|_| Act::Break);
        assert_eq!(post(&shop, &event.body).await, 503);
        shop.wire.play(|_| Act::Pass);
        assert_eq!(post(&shop, &event.body).await, 200);
        assert_eq!(shop.credits().await, 5_000);
    });
}

/// The cents of the entries about money that went back, in ascending order.
async fn disputed(shop: &Shop) -> Vec<u64> {
    let store = shop.world.store();
    let history = store.history_list(&shop.team, &Selection::default(), None, 100).await.unwrap();
    let cents = history.entries.iter().filter_map(|entry| match &entry.details {
        Details::Dispute(disputed) => Some(disputed.amount.cents),
        _ => None,
    });
    let mut cents: Vec<u64> = cents.collect();
    cents.sort_unstable();
    cents
}

/// Money that went back is recorded. The credits stay, and an operator decides on them.
#[test]
fn refunds_and_disputes_are_recorded_once() {
    in_shop(TEAM, async |shop| {
        assert_eq!(shop.order("refunded").await.0, 201);
        shop.store_card("4000000000000259").await;
        assert_eq!(shop.order("disputed").await.0, 201);
        let now = shop.second();
        for cents in [1_000, 500] {
            assert!(shop.account.account().refund("pi_1", cents, now));
        }
        let events = shop.account.account().take_events();
        for event in events.iter().chain(&events) {
            assert_eq!(post(&shop, &event.body).await, 200, "{}", event.body);
        }
        let cents = disputed(&shop).await;
        assert_eq!(cents, [500, 1_000, 5_000]);
        assert_eq!(shop.credits().await, 10_000);
    });
}

/// Each message is enough by itself.
#[test]
fn a_message_about_a_dispute_or_a_refund_names_the_payment() {
    for kind in ["charge.dispute.created", "refund.created", "charge.refunded"] {
        in_shop(TEAM, async |shop| {
            shop.order("k").await;
            shop.deliver().await;
            let now = shop.second();
            let is_dispute = kind == "charge.dispute.created";
            let is_done = if is_dispute {
                shop.account.account().dispute("pi_1", now)
            } else {
                shop.account.account().refund("pi_1", 5_000, now)
            };
            assert!(is_done);
            let events = shop.account.account().take_events();
            let event = events.iter().find(|event| event.kind == kind).unwrap();
            assert_eq!(post(&shop, &event.body).await, 200);
            assert_eq!(disputed(&shop).await, [5_000], "{kind}");
        });
    }
}

#[test]
fn only_a_refund_that_has_succeeded_is_recorded() {
    in_shop(TEAM, async |shop| {
        shop.order("k").await;
        shop.deliver().await;
        let now = shop.second();
        assert!(shop.account.account().refund("pi_1", 1_000, now));
        shop.wire.play(|seen| {
            if seen.path() != "/v1/refunds" {
                return Act::Pass;
            }
            let refund = |id: &str, status: &str, amount: u64| {
                json!({ "id": id, "status": status, "amount": amount })
            };
            let data = [
                refund("re_1", "failed", 700),
                refund("re_2", "pending", 600),
                refund("re_3", "canceled", 500),
                refund("re_4", "succeeded", 300),
            ];
            Act::json(200, &json!({ "data": data }))
        });
        shop.deliver().await;
        assert_eq!(disputed(&shop).await, [300]);
    });
}

/// A question of the bank moves no money.
#[test]
fn a_chargeback_is_of_the_disputed_part() {
    in_shop(TEAM, async |shop| {
        shop.order("k").await;
        let now = shop.second();
        let dispute =
            |cents, status| shop.account.account().dispute_part("pi_1", cents, status, now);
        assert!(dispute(900, "warning_needs_response"));
        shop.deliver().await;
        assert_eq!(disputed(&shop).await, [0_u64; 0]);
    });
    in_shop(TEAM, async |shop| {
        shop.order("k").await;
        let now = shop.second();
        assert!(shop.account.account().dispute_part("pi_1", 900, "needs_response", now));
        shop.deliver().await;
        shop.deliver().await;
        assert_eq!(disputed(&shop).await, [900]);
    });
}
