//! The stored card, and the page on which it is stored or changed.

use serde_json::{Value, json};
use stripe::PageKind;

use crate::support::{Shop, TEAM, in_shop};

async fn card(shop: &Shop) -> Value {
    let (status, body) = shop.request("GET", "/payment-method", "-", &Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body["card"].clone()
}

/// Requests a page. Returns its URL.
async fn page(shop: &Shop) -> String {
    let (status, body) = shop.request("POST", "/payment-method", "-", &Value::Null).await;
    assert_eq!(status, 201, "{body}");
    body["url"].as_str().unwrap().to_owned()
}

fn kind(shop: &Shop, url: &str) -> PageKind {
    let id = url.rsplit('/').next().unwrap();
    shop.account.account().page(id).unwrap().kind
}

#[test]
fn a_first_card_is_stored_without_a_purchase() {
    in_shop("nocard-acme", async |shop| {
        assert_eq!(card(&shop).await, Value::Null);
        let url = page(&shop).await;
        assert_eq!(kind(&shop, &url), PageKind::Setup);
        shop.enter_card(&url, "5555555555554444");
        shop.deliver().await;
        let expected =
            json!({ "brand": "mastercard", "last4": "4444", "exp_month": 12, "exp_year": 2034 });
        assert_eq!(card(&shop).await, expected);
        assert_eq!((shop.order("k").await.0, shop.taken()), (201, 5_000));
    });
}

#[test]
fn a_stored_card_is_changed_in_the_portal() {
    in_shop(TEAM, async |shop| {
        assert_eq!(card(&shop).await["last4"], "4242");
        let url = page(&shop).await;
        assert_eq!(kind(&shop, &url), PageKind::Portal);
        shop.enter_card(&url, "4000000000000341");
        assert_eq!(card(&shop).await["last4"], "0341");
        assert_eq!(shop.order("k").await.0, 402, "the chosen card is charged");
    });
}
