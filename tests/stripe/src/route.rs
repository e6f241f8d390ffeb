//! The endpoints of the HTTP API.

use serde_json::Value;

use crate::Account;
use crate::form::Form;
use crate::http::Request;
use crate::refusal::Refusal;

impl Account {
    /// Executes a request.
    pub(crate) fn route(&mut self, request: &Request, now: i64) -> Result<Value, Refusal> {
        let form = Form(&request.fields);
        let path = request.api_path();
        let parts: Vec<&str> = path.strip_prefix("/v1/").unwrap_or_default().split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("POST", ["customers"]) => self.create_customer(form, now),
            ("GET", ["customers", id]) => self.retrieve_customer(id, form),
            ("GET", ["customers", id, "payment_methods"]) => self.list_methods(id, form),
            ("POST", ["payment_intents"]) => self.create_intent(form, now),
            ("GET", ["payment_intents", id]) => self.retrieve_intent(id, form),
            ("POST", ["payment_intents", id, "confirm"]) => self.confirm_intent(id, form, now),
            ("POST", ["payment_intents", id, "cancel"]) => self.cancel_intent(id, form, now),
            ("POST", ["checkout", "sessions"]) => self.create_session(form, now),
            ("GET", ["checkout", "sessions", id]) => self.retrieve_session(id, form),
            ("POST", ["checkout", "sessions", id, "expire"]) => {
                self.expire_by_request(id, form, now)
            }
            ("POST", ["billing_portal", "sessions"]) => self.create_portal(form, now),
            ("GET", ["refunds"]) => self.list_refunds(form),
            ("GET", ["disputes"]) => self.list_disputes(form),
            (method, _) => {
                let message = format!("Unrecognized request URL ({method}: {path}).");
                Err(Refusal::invalid(message).with_status(404))
            }
        }
    }
}
