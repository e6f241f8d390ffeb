//! Requests that are refused before they are executed.

use serde_json::json;

use crate::testing::{NOW, account, request};

#[test]
fn a_request_requires_a_secret_key() {
    let mut account = account();
    for key in [None, Some("pk_test_1"), Some("")] {
        let mut create = request("POST", "/v1/customers", &[]);
        create.secret_key = key.map(str::to_owned);
        let answer = account.answer(&create, NOW);
        assert_eq!(answer.status, 401, "{key:?}");
        assert_eq!(answer.body["error"]["type"], "invalid_request_error");
    }
    assert_eq!(account.get("/v1/customers/cus_1", &[]).status, 404);
}

#[test]
fn unknown_paths_and_ids_are_404() {
    let mut account = account();
    for (method, path) in
        [("GET", "/v1/nothing"), ("GET", "/v1/customers"), ("PUT", "/v1/customers"), ("GET", "/")]
    {
        let answer = account.answer(&request(method, path, &[]), NOW);
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(answer.body["error"]["type"], "invalid_request_error");
    }
    for (method, path) in [
        ("GET", "/v1/payment_intents/pi_1"),
        ("POST", "/v1/payment_intents/pi_1/confirm"),
        ("POST", "/v1/payment_intents/pi_1/cancel"),
        ("GET", "/v1/checkout/sessions/cs_test_1"),
        ("POST", "/v1/checkout/sessions/cs_test_1/expire"),
    ] {
        let answer = account.answer(&request(method, path, &[]), NOW);
        assert_eq!(
            (answer.status, &answer.body["error"]["code"]),
            (404, &json!("resource_missing"))
        );
    }
}

#[test]
fn a_prefix_of_the_path_is_ignored() {
    let mut account = account();
    assert_eq!(account.post("/dev/stripe/v1/customers", &[]).status, 200);
    assert_eq!(account.get("/v1/customers/cus_1", &[]).status, 200);
}

#[test]
fn parameters_of_an_intent_are_checked() {
    let valid = [("amount", "5000"), ("currency", "usd")];
    let mut account = account();
    for (pairs, param) in [
        (vec![("currency", "usd")], "amount"),
        (vec![("amount", "5000")], "currency"),
        (vec![("amount", "49"), ("currency", "usd")], "amount"),
        (vec![("amount", "-1"), ("currency", "usd")], "amount"),
        (vec![("amount", "100000000"), ("currency", "usd")], "amount"),
        (vec![("amount", "5000"), ("currency", "dollar")], "currency"),
        ([&valid[..], &[("confirm", "true")]].concat(), "confirm"),
        ([&valid[..], &[("customer", "cus_9")]].concat(), "customer"),
        ([&valid[..], &[("payment_method", "pm_9")]].concat(), "payment_method"),
        ([&valid[..], &[("payment_method_types[]", "oxxo")]].concat(), "payment_method_types"),
        ([&valid[..], &[("setup_future_usage", "yes")]].concat(), "setup_future_usage"),
        ([&valid[..], &[("expand[]", "invoice")]].concat(), "expand"),
        ([&valid[..], &[("credits", "1")]].concat(), "credits"),
    ] {
        let answer = account.post("/v1/payment_intents", &pairs);
        assert_eq!(
            (answer.status, &answer.body["error"]["param"]),
            (400, &json!(param)),
            "{pairs:?}"
        );
    }
    assert_eq!(account.intents().count(), 0);
    assert_eq!(account.take_events(), []);
    assert_eq!(account.post("/v1/payment_intents", &valid).status, 200);
}

#[test]
fn parameters_of_a_session_are_checked() {
    let valid = [
        ("mode", "payment"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "5000"),
        ("line_items[0][price_data][product_data][name]", "Credits"),
        ("line_items[0][quantity]", "1"),
        ("success_url", "https://shop.test/"),
    ];
    let mut account = account();
    for (missing, _) in valid {
        let pairs: Vec<_> = valid.into_iter().filter(|(name, _)| *name != missing).collect();
        let answer = account.post("/v1/checkout/sessions", &pairs);
        assert_eq!((answer.status, &answer.body["error"]["param"]), (400, &json!(missing)));
    }
    let no_items = [("mode", "payment"), ("success_url", "https://shop.test/")];
    let answer = account.post("/v1/checkout/sessions", &no_items);
    assert_eq!(answer.body["error"]["param"], "line_items");
    let setup = [("mode", "setup"), ("success_url", "https://shop.test/")];
    let answer = account.post("/v1/checkout/sessions", &setup);
    assert_eq!(answer.body["error"]["param"], "currency");
    let relative = [("mode", "setup"), ("currency", "usd"), ("success_url", "/done")];
    let answer = account.post("/v1/checkout/sessions", &relative);
    assert_eq!(answer.body["error"]["code"], "url_invalid");
    let paid = [("mode", "setup"), ("success_url", "https://shop.test/"), valid[4]];
    assert_eq!(account.post("/v1/checkout/sessions", &paid).body["error"]["param"], "line_items");
    assert_eq!(account.post("/v1/checkout/sessions", &valid).status, 200);
}

#[test]
fn an_off_session_confirmation_excludes_future_usage() {
    let mut account = account();
    let (customer, method) = account.customer();
    let pairs = [
        ("amount", "50"),
        ("currency", "usd"),
        ("customer", customer.as_str()),
        ("payment_method", method.as_str()),
        ("payment_method_types[]", "card"),
        ("setup_future_usage", "off_session"),
    ];
    account.post("/v1/payment_intents", &pairs);
    let refused = account.confirm("pi_1", &[("off_session", "true")]);
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("off_session")));
    assert_eq!(account.confirm("pi_1", &[]).status, 200);
}
