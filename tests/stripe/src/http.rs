//! Requests and answers of the HTTP API.

use serde_json::Value;

use crate::refusal::Refusal;

/// A request of the HTTP API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method in upper case.
    pub method: String,
    /// The path, such as `/v1/payment_intents/pi_1/confirm`. A prefix before `/v1/` is ignored.
    pub path: String,
    /// The decoded parameters of the query and of the form body, such as `metadata[team]`.
    pub fields: Vec<(String, String)>,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The secret key of the header `Authorization: Bearer`.
    pub secret_key: Option<String>,
}

impl Request {
    /// The path from `/v1/` on.
    pub(crate) fn api_path(&self) -> &str {
        self.path.find("/v1/").and_then(|start| self.path.get(start..)).unwrap_or(&self.path)
    }

    /// Refuses a request without a secret key.
    pub(crate) fn authorize(&self) -> Result<(), Refusal> {
        match &self.secret_key {
            Some(key) if key.starts_with("sk_") => Ok(()),
            Some(key) => {
                let shown: String = key.chars().take(7).collect();
                Err(Refusal::invalid(format!("Invalid API Key provided: {shown}****")))
            }
            None => Err(Refusal::invalid(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using \
                 Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            )),
        }
        .map_err(|refusal| refusal.with_status(401))
    }
}

/// An answer of the HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON of the body.
    pub body: Value,
    /// The answer is that of an earlier request with the same idempotency key.
    pub is_replay: bool,
}

impl From<Result<Value, Refusal>> for Answer {
    fn from(result: Result<Value, Refusal>) -> Self {
        match result {
            Ok(body) => Self { status: 200, body, is_replay: false },
            Err(refusal) => Self { status: refusal.status, body: refusal.body(), is_replay: false },
        }
    }
}
