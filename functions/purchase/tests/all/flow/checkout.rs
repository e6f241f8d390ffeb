//! Purchases that are paid on a page of Stripe's Checkout, because no card is stored.

use std::time::Duration;

use purchase::pending;
use serde_json::Value;
use shared::domain::payment::PaymentObject;
use stripe::{Outcome, PageStatus};
use tokio::time::sleep;

use crate::support::{Shop, in_shop};

/// A team whose customer has no card.
const NO_CARD: &str = "nocard-acme";

const VISA: &str = "4242424242424242";

/// Orders a purchase and returns its page.
async fn page_of(shop: &Shop, key: &str) -> String {
    let (status, body) = shop.order(key).await;
    assert_eq!(status, 202, "{body}");
    assert_eq!(body["purchase"]["status"], "pending");
    body["purchase"]["next_action"]["url"].as_str().unwrap().to_owned()
}

fn id(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[test]
fn a_team_without_a_card_gets_a_page() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        let page = shop.account.account().page(id(&url)).unwrap();
        assert_eq!(page.amount, Some((5_000, "usd".to_owned())));
        assert_eq!(page.description, "5000 credits");
        let PaymentObject::Session(stored) = shop.stored().await.payment.unwrap().object else {
            panic!("another object");
        };
        assert_eq!(stored.as_str(), id(&url));
        assert_eq!((shop.credits().await, shop.attempts()), (0, 0));
    });
}

#[test]
fn a_replay_returns_the_same_page() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        shop.wire.take();
        assert_eq!(page_of(&shop, "k").await, url);
        let lines = shop.wire.lines();
        assert!(!lines.iter().any(|line| line.starts_with("POST")), "{lines:?}");
        assert_ne!(page_of(&shop, "other").await, url);
    });
}

#[test]
fn the_webhook_settles_a_paid_page() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        let Outcome::Redirect(back) = shop.enter_card(&url, VISA) else { panic!("not paid") };
        assert!(back.starts_with("https://app.example/billing?purchase=p_"), "{back}");
        assert_eq!((shop.taken(), shop.credits().await), (5_000, 0));
        assert_eq!(shop.purchases().await[0]["status"], "pending");
        let kinds = shop.deliver().await;
        assert!(kinds.contains(&"checkout.session.completed".to_owned()), "{kinds:?}");
        let paid = &shop.purchases().await[0];
        assert_eq!((shop.credits().await, paid["status"].as_str()), (5_000, Some("paid")));
        assert!(paid["receipt_url"].is_string(), "{paid}");
    });
}

/// Without the webhook, the repeated request and the schedule settle it.
#[test]
fn a_paid_page_is_settled_without_a_webhook() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "repeated").await;
        shop.enter_card(&url, VISA);
        let (status, body) = shop.order("repeated").await;
        assert_eq!((status, body["purchase"]["status"].as_str()), (200, Some("paid")), "{body}");
    });
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "scheduled").await;
        shop.enter_card(&url, VISA);
        sleep(Duration::from_mins(6)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.paid, done.errors), (1, 0), "{done:?}");
        assert_eq!(shop.credits().await, 5_000);
    });
}

#[test]
fn the_card_of_a_page_pays_the_next_purchase() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "first").await;
        shop.enter_card(&url, VISA);
        shop.deliver().await;
        let (status, body) = shop.order("second").await;
        assert_eq!((status, body["purchase"]["status"].as_str()), (201, Some("paid")), "{body}");
        assert_eq!((shop.credits().await, shop.taken()), (10_000, 10_000));
    });
}

#[test]
fn a_declined_card_leaves_the_page_open() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        let outcome = shop.enter_card(&url, "4000000000000002");
        assert!(matches!(outcome, Outcome::Declined(_)), "{outcome:?}");
        shop.deliver().await;
        assert_eq!(page_of(&shop, "k").await, url, "still open");
        shop.enter_card(&url, VISA);
        shop.deliver().await;
        assert_eq!((shop.credits().await, shop.taken()), (5_000, 5_000));
    });
}

#[test]
fn a_page_that_expires_fails_the_purchase() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        sleep(Duration::from_hours(25)).await;
        let now = shop.second();
        shop.account.account().advance(now);
        assert_eq!(shop.account.account().page(id(&url)).unwrap().status, PageStatus::Expired);
        let kinds = shop.deliver().await;
        assert_eq!(kinds, ["checkout.session.expired"]);
        let failed = &shop.purchases().await[0];
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["reason"], "the payment page has expired without a payment");
        assert_eq!(failed.get("code"), None::<&Value>);
    });
}

/// The schedule ends the page, so it takes no money later.
#[test]
fn the_page_of_a_closed_account_is_ended() {
    in_shop(NO_CARD, async |shop| {
        let url = page_of(&shop, "k").await;
        let (store, now) = (shop.world.store(), shop.world.now());
        store.terms_change(&shop.team, now, |pool| Ok(pool.close(None, now))).await.unwrap();
        sleep(Duration::from_mins(6)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.failed, done.errors), (1, 0), "{done:?}");
        assert_eq!(shop.account.account().page(id(&url)).unwrap().status, PageStatus::Expired);
        assert_eq!(shop.purchases().await[0]["reason"], "the account was closed");
        assert!(matches!(shop.enter_card(&url, VISA), Outcome::Declined(_)));
        assert_eq!(shop.taken(), 0);
    });
}
