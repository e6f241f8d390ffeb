//! Payments whose result comes later.

use std::time::Duration;

use purchase::pending;
use serde_json::{Value, json};
use shared::domain::purchase::PurchaseStatus;
use tokio::time::sleep;

use crate::support::{Act, Shop, TEAM, in_shop};

async fn order_in_process(shop: &Shop) {
    shop.account.account().set_processing(true);
    let (status, body) = shop.order("k").await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["purchase"]["status"], "pending");
    assert_eq!(body["purchase"].get("next_action"), None);
    shop.deliver().await;
    let (status, body) = shop.order("k").await;
    assert_eq!((status, shop.credits().await), (202, 0), "{body}");
}

fn finish(shop: &Shop, succeeds: bool) {
    let now = shop.second();
    shop.account.account().finish_processing("pi_1", succeeds, now);
}

#[test]
fn a_payment_in_process_adds_no_credits_until_it_succeeds() {
    in_shop(TEAM, async |shop| {
        order_in_process(&shop).await;
        finish(&shop, true);
        assert_eq!(shop.credits().await, 0);
        shop.deliver().await;
        assert_eq!((shop.credits().await, shop.attempts()), (5_000, 1));
    });
}

#[test]
fn a_payment_in_process_can_fail() {
    in_shop(TEAM, async |shop| {
        order_in_process(&shop).await;
        finish(&shop, false);
        shop.deliver().await;
        let failed = &shop.purchases().await[0];
        assert_eq!((failed["status"].as_str(), shop.credits().await), (Some("failed"), 0));
        assert_eq!(failed["code"], "generic_decline");
    });
}

/// Money that is being taken cannot be cancelled, so the purchase waits longer than a day.
#[test]
fn a_payment_in_process_is_not_abandoned() {
    in_shop(TEAM, async |shop| {
        order_in_process(&shop).await;
        sleep(Duration::from_hours(30)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.waiting, done.failed, done.errors), (1, 0, 0), "{done:?}");
        finish(&shop, true);
        shop.deliver().await;
        assert_eq!(shop.credits().await, 5_000);
    });
}

/// A status that the client does not know may be one in which money is taken.
#[test]
fn an_unknown_status_is_neither_paid_nor_failed() {
    in_shop(TEAM, async |shop| {
        let answer =
            json!({ "id": "pi_1", "status": "settling", "amount": 5_000, "currency": "usd" });
        shop.wire.play(move |seen| {
            let is_intent = seen.path().contains("/payment_intents/");
            if is_intent { Act::json(200, &answer) } else { Act::Pass }
        });
        let (status, body) = shop.order("k").await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(shop.stored().await.status, PurchaseStatus::Pending);
        assert_eq!(
            (shop.credits().await, shop.purchases().await[0].get("reason")),
            (0, None::<&Value>)
        );
    });
}
