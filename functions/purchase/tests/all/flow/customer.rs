//! The team's customer at Stripe.

use std::time::Duration;

use purchase::pending;
use shared::domain::purchase::PurchaseStatus;
use tokio::time::sleep;

use crate::support::{TEAM, in_shop};

#[test]
fn a_customer_that_was_deleted_is_made_anew() {
    in_shop(TEAM, async |shop| {
        assert_eq!(shop.order("first").await.0, 201);
        let first = shop.world.store().customer_read(&shop.team).await.unwrap().unwrap();
        let shop = shop.with_other_account();
        let (status, body) = shop.order("second").await;
        assert_eq!(status, 201, "{body}");
        let second = shop.world.store().customer_read(&shop.team).await.unwrap().unwrap();
        assert_eq!((first.as_str(), second.as_str()), ("cus_1", "cus_900"));
        assert_eq!((shop.credits().await, shop.taken()), (10_000, 5_000));
    });
}

/// The secret may be that of another account for a while. After a day the purchase fails.
#[test]
fn a_purchase_waits_for_the_account_that_has_its_payment() {
    in_shop("nocard-acme", async |shop| {
        assert_eq!(shop.order("k").await.0, 202);
        let other = shop.with_other_account();
        assert_eq!(other.order("k").await.0, 500);
        sleep(Duration::from_hours(1)).await;
        assert_eq!(pending::run(&other.state, None).await.errors, 1);
        assert_eq!(other.stored().await.status, PurchaseStatus::Pending);
        sleep(Duration::from_hours(24)).await;
        assert_eq!(pending::run(&other.state, None).await.failed, 1);
        let reason = other.stored().await.reason;
        assert_eq!(reason.as_deref(), Some("the payment provider does not have the payment"));
    });
}

#[test]
fn two_orders_at_once_have_one_customer() {
    in_shop(TEAM, async |shop| {
        let orders = futures_util::future::join(shop.order("a"), shop.order("b"));
        let ((one, _), (other, _)) = orders.await;
        assert_eq!((one, other), (201, 201));
        let customer = shop.world.store().customer_read(&shop.team).await.unwrap().unwrap();
        let account = shop.account.account();
        // The first order that is stored decides; a payment for another customer is never confirmed.
        let paid = account.intents().filter(|intent| intent.amount_received > 0);
        let customers: Vec<String> = paid.map(|intent| intent.customer.clone().unwrap()).collect();
        assert_eq!(customers, [customer.to_string(), customer.to_string()]);
    });
}
