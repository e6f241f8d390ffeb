//! The customer portal.

use serde_json::{Value, json};

use crate::testing::{NOW, account};
use crate::{Outcome, PageKind};

const DEFAULT: (&str, &str) = ("expand[]", "invoice_settings.default_payment_method");

#[test]
fn the_portal_changes_the_default_card() {
    let mut account = account();
    account.customer();
    let pairs = [
        ("customer", "cus_1"),
        ("return_url", "https://shop.test/"),
        ("flow_data[type]", "payment_method_update"),
    ];
    let created = account.post("/v1/billing_portal/sessions", &pairs);
    assert_eq!((created.status, &created.body["id"]), (200, &json!("bps_1")));
    assert_eq!(created.body["object"], "billing_portal.session");
    assert_eq!(created.body["url"], "https://pay.test/p/bps_1");
    assert_eq!(account.page("bps_1").unwrap().kind, PageKind::Portal);
    let default = account.get("/v1/customers/cus_1", &[DEFAULT]).body;
    assert_eq!(default["invoice_settings"]["default_payment_method"], Value::Null);

    let back = Outcome::Redirect("https://shop.test/".to_owned());
    assert!(matches!(account.pay("bps_1", "4000000000000069", NOW), Outcome::Declined(_)));
    assert_eq!(account.leave("bps_1", NOW), back);
    assert_eq!(account.pay("bps_1", "5555555555554444", NOW), back);
    let default = account.get("/v1/customers/cus_1", &[DEFAULT]).body;
    let method = &default["invoice_settings"]["default_payment_method"];
    assert_eq!((&method["card"]["last4"], &method["customer"]), (&json!("4444"), &json!("cus_1")));
    let plain = account.get("/v1/customers/cus_1", &[]).body;
    assert_eq!(plain["invoice_settings"]["default_payment_method"], method["id"]);
    let newest = account.get("/v1/customers/cus_1/payment_methods", &[]).body;
    assert_eq!(newest["data"][0]["id"], method["id"]);
}

#[test]
fn a_card_of_the_portal_can_require_a_step() {
    let mut account = account();
    account.customer();
    account.post("/v1/billing_portal/sessions", &[("customer", "cus_1")]);
    let step = Outcome::Authenticate("bps_1".to_owned());
    assert_eq!(account.pay("bps_1", "4000002760003184", NOW), step);
    assert_eq!(account.page("bps_1").unwrap().kind, PageKind::Authentication);
    let own_page = Outcome::Redirect("https://pay.test/p/bps_1".to_owned());
    assert_eq!(account.authenticate("bps_1", true, NOW), own_page);
    let customer = account.get("/v1/customers/cus_1", &[DEFAULT]).body;
    let method = &customer["invoice_settings"]["default_payment_method"];
    assert_eq!(method["card"]["last4"], "3184");
    assert_eq!(account.authenticate("bps_1", true, NOW), Outcome::Unknown);
}

#[test]
fn a_portal_session_requires_a_customer() {
    let mut account = account();
    let path = "/v1/billing_portal/sessions";
    assert_eq!(account.post(path, &[]).body["error"]["param"], "customer");
    let unknown = account.post(path, &[("customer", "cus_1")]);
    assert_eq!((unknown.status, &unknown.body["error"]["code"]), (400, &json!("resource_missing")));
}
