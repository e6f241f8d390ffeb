//! Requests for the tests of this crate.

use serde_json::Value;

use crate::{Account, Answer, Event, Request};

/// The time at which tests begin.
pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn request(method: &str, path: &str, pairs: &[(&str, &str)]) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        fields: fields(pairs),
        idempotency_key: None,
        secret_key: Some("sk_test_1".to_owned()),
    }
}

/// A `POST` with an idempotency key.
pub(crate) fn keyed(key: &str, path: &str, pairs: &[(&str, &str)]) -> Request {
    Request { idempotency_key: Some(key.to_owned()), ..request("POST", path, pairs) }
}

pub(crate) fn account() -> Account {
    Account::new("https://pay.test/p")
}

impl Account {
    pub(crate) fn post(&mut self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.answer(&request("POST", path, pairs), NOW)
    }

    pub(crate) fn get(&mut self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.answer(&request("GET", path, pairs), NOW)
    }

    /// Creates a customer. Returns the id and the id of the stored card.
    pub(crate) fn customer(&mut self) -> (String, String) {
        let customer = text(&self.post("/v1/customers", &[]).body, "id");
        let methods = self.get(&format!("/v1/customers/{customer}/payment_methods"), &[]).body;
        (customer, text(&methods["data"][0], "id"))
    }

    /// Creates an intent of a customer with a card.
    pub(crate) fn intent_with(&mut self, number: &str, credits: &str) -> String {
        let (customer, _) = self.customer();
        assert!(self.attach_card(&customer, number));
        let methods = self.get(&format!("/v1/customers/{customer}/payment_methods"), &[]).body;
        let intent = self.post(
            "/v1/payment_intents",
            &[
                ("amount", "5000"),
                ("currency", "usd"),
                ("customer", &customer),
                ("payment_method", &text(&methods["data"][0], "id")),
                ("payment_method_types[]", "card"),
                ("metadata[credits]", credits),
            ],
        );
        assert_eq!(intent.status, 200, "{}", intent.body);
        text(&intent.body, "id")
    }

    pub(crate) fn confirm(&mut self, intent: &str, pairs: &[(&str, &str)]) -> Answer {
        self.post(&format!("/v1/payment_intents/{intent}/confirm"), pairs)
    }

    pub(crate) fn intent(&mut self, id: &str) -> Value {
        let path = format!("/v1/payment_intents/{id}");
        self.get(&path, &[("expand[]", "latest_charge")]).body
    }

    /// Creates a Checkout session for 50 dollars.
    pub(crate) fn checkout(&mut self, more: &[(&str, &str)]) -> Value {
        let pairs = [
            ("mode", "payment"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", "2500"),
            ("line_items[0][price_data][product_data][name]", "Credits"),
            ("line_items[0][quantity]", "2"),
            ("payment_intent_data[metadata][team]", "t_1"),
            ("success_url", "https://shop.test/done?s={CHECKOUT_SESSION_ID}"),
            ("cancel_url", "https://shop.test/back"),
        ];
        let answer = self.post("/v1/checkout/sessions", &[&pairs, more].concat());
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    pub(crate) fn kinds(&mut self) -> Vec<String> {
        self.take_events().into_iter().map(|event| event.kind).collect()
    }
}

/// The object of an event.
pub(crate) fn object(event: &Event) -> Value {
    let body: Value = serde_json::from_str(&event.body).unwrap();
    body["data"]["object"].clone()
}

pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}
