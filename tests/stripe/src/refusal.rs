//! The errors of the API, in Stripe's shape.

use serde_json::{Value, json};

/// An error answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    error: Value,
    /// The endpoint was executed, so the answer is stored under the idempotency key.
    pub(crate) is_result: bool,
}

impl Refusal {
    /// A request that is refused before it is executed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        let error = json!({ "type": "invalid_request_error", "message": message.into() });
        Self { status: 400, error, is_result: false }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn with_param(self, param: &str) -> Self {
        self.with("param", json!(param))
    }

    pub(crate) fn with_code(self, code: &str) -> Self {
        self.with("code", json!(code)).with("doc_url", json!(doc_url(code)))
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        if let Some(fields) = self.error.as_object_mut() {
            fields.insert(field.to_owned(), value);
        }
        self
    }

    /// A required parameter is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .with_code("parameter_missing")
            .with_param(param)
    }

    /// The object in the path does not exist.
    pub(crate) fn unknown(kind: &str, id: &str) -> Self {
        Self::unknown_reference(kind, id, "id").with_status(404)
    }

    /// The object that a parameter names does not exist.
    pub(crate) fn unknown_reference(kind: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {kind}: '{id}'"))
            .with_code("resource_missing")
            .with_param(param)
    }

    /// The state of the object does not permit the request.
    pub(crate) fn state(message: impl Into<String>) -> Self {
        Self { is_result: true, ..Self::invalid(message) }
    }

    /// The status of the payment intent does not permit the request.
    pub(crate) fn intent_state(message: impl Into<String>, intent: Value) -> Self {
        Self::state(message)
            .with_code("payment_intent_unexpected_state")
            .with("payment_intent", intent)
    }

    /// The card was declined at a confirmation. `error` is the intent's `last_payment_error`.
    pub(crate) fn card(error: Value, intent: Value) -> Self {
        Self { status: 402, error, is_result: true }.with("payment_intent", intent)
    }

    /// An idempotency key was used for another request.
    pub(crate) fn other_request(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        Self::invalid(message).with("type", json!("idempotency_error"))
    }

    /// A fault of the server.
    pub(crate) fn server() -> Self {
        let error = json!({ "type": "api_error", "message": "An unknown error occurred." });
        Self { status: 500, error, is_result: true }
    }

    /// Another request has locked the object.
    pub(crate) fn locked() -> Self {
        Self::invalid(
            "This object cannot be accessed right now because another API request or Stripe process is currently \
             accessing it.",
        )
        .with_code("lock_timeout")
        .with_status(429)
    }

    pub(crate) fn body(&self) -> Value {
        json!({ "error": self.error })
    }
}

/// The URL that Stripe documents an error code at.
pub(crate) fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_documented_shape() {
        assert_eq!(
            Refusal::missing("amount").body(),
            json!({ "error": {
                "type": "invalid_request_error",
                "code": "parameter_missing",
                "doc_url": "https://stripe.com/docs/error-codes/parameter-missing",
                "message": "Missing required param: amount.",
                "param": "amount",
            }}),
        );
        let unknown = Refusal::unknown("customer", "cus_9");
        assert_eq!((unknown.status, unknown.is_result), (404, false));
        assert_eq!(Refusal::unknown_reference("customer", "cus_9", "customer").status, 400);
        let locked = Refusal::locked();
        assert_eq!((locked.status, locked.is_result), (429, false));
        assert_eq!(locked.body()["error"]["code"], "lock_timeout");
        let server = Refusal::server();
        assert_eq!((server.status, server.is_result), (500, true));
        assert_eq!(server.body()["error"]["type"], "api_error");
        assert_eq!(Refusal::other_request("k").body()["error"]["type"], "idempotency_error");
    }
}
