//! Customers and their stored cards.

use serde_json::json;

use crate::testing::{NOW, account};

#[test]
fn a_new_customer_has_a_card() {
    let mut account = account();
    let created = account.post("/v1/customers", &[("metadata[team]", "t_1"), ("name", "A")]);
    assert_eq!((created.status, &created.body["id"]), (200, &json!("cus_1")));
    assert_eq!((&created.body["name"], &created.body["created"]), (&json!("A"), &json!(NOW)));
    assert_eq!(created.body["metadata"], json!({ "team": "t_1" }));
    let cards = account.get("/v1/customers/cus_1/payment_methods", &[("type", "card")]).body;
    assert_eq!((&cards["object"], &cards["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(cards["data"][0]["card"]["last4"], "4242");
    assert_eq!(cards["data"][0]["customer"], "cus_1");
    let others = account.get("/v1/customers/cus_1/payment_methods", &[("type", "link")]).body;
    assert_eq!(others["data"], json!([]));
}

#[test]
fn a_customer_without_a_card_gets_one() {
    let mut account = account();
    account.post("/v1/customers", &[("metadata[team]", "nocard_1")]);
    let path = "/v1/customers/cus_1/payment_methods";
    assert_eq!(account.get(path, &[]).body["data"], json!([]));
    assert!(account.attach_card("cus_1", "4242424242424242"));
    assert!(account.attach_card("cus_1", "4000000000000002"));
    let newest = account.get(path, &[("type", "card"), ("limit", "1")]).body;
    assert_eq!(newest["data"][0]["card"]["last4"], "0002");
    assert_eq!((newest["data"].as_array().unwrap().len(), &newest["has_more"]), (1, &json!(true)));
    assert!(!account.attach_card("cus_2", "4242424242424242"));
    assert!(!account.attach_card("cus_1", "4242424242424241"));
}

#[test]
fn an_unknown_customer_is_a_404() {
    let mut account = account();
    for path in ["/v1/customers/cus_1", "/v1/customers/cus_1/payment_methods"] {
        let answer = account.get(path, &[]);
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (404, &json!("resource_missing"))
        );
    }
}

#[test]
fn a_card_is_for_its_customer() {
    let mut account = account();
    let (first, method) = account.customer();
    let (second, _) = account.customer();
    for (customer, status) in [(Some(&first), 200), (Some(&second), 400), (None, 400)] {
        let mut pairs = vec![("amount", "50"), ("currency", "usd"), ("payment_method", &method)];
        pairs.extend(customer.map(|id| ("customer", id.as_str())));
        assert_eq!(account.post("/v1/payment_intents", &pairs).status, status, "{customer:?}");
    }
}

#[test]
fn an_entered_card_that_was_not_stored_cannot_be_used_again() {
    let mut account = account();
    account.checkout(&[]);
    account.pay("cs_test_1", "4242424242424242", NOW);
    let pairs = [("amount", "50"), ("currency", "usd"), ("payment_method", "pm_1")];
    let answer = account.post("/v1/payment_intents", &pairs);
    assert_eq!((answer.status, &answer.body["error"]["param"]), (400, &json!("payment_method")));
}
