//! The problem types of the API, from the errors of the domain.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::domain::{Credits, Error, Resource};
use shared::http::Problem;

use crate::schemas::reference;

/// A problem type with a status.
pub struct ProblemType {
    /// The last segment of the type. A type with a second status has it as its suffix.
    pub name: String,
    /// The name of its schema.
    pub schema: String,
    pub when: &'static str,
    pub example: Problem,
}

/// An error of each kind.
fn errors() -> Vec<Error> {
    let credits = Credits::new;
    vec![
        Error::invalid("quantity", "must be 1 to 1000000"),
        Error::Unauthenticated,
        Error::InsufficientCredits { balance: credits(3), required: credits(5) },
        Error::PaymentFailed("Your card was declined.".to_owned()),
        Error::Forbidden("Only an admin of the team can do this; ask an admin."),
        Error::NotFound(Resource::Team),
        Error::MethodNotAllowed,
        Error::AccountClosed,
        Error::EnrichmentPaused,
        Error::HoldClosed("released"),
        Error::NothingToRestart,
        Error::TooManyHolds,
        Error::TooLarge,
        Error::UnsupportedMediaType,
        Error::KeyReused,
        Error::TooManyRequests { retry_after: 1 },
        Error::Busy,
        Error::internal("the log has the cause"),
    ]
}

/// The cause of an error, and what a client can do.
const fn when(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => {
            "The request does not follow this document: malformed JSON, a wrong type, an unknown \
             field or query parameter, an unknown action or outcome, a missing key, a value out of \
             range. `errors` names each field."
        }
        Error::Unauthenticated => {
            "The request has no verified token. API Gateway itself answers a token that is invalid; \
             that answer is no problem document."
        }
        Error::Forbidden(_) => {
            "The token is for another team, is not an admin's, or lacks a scope."
        }
        Error::InsufficientCredits { .. } | Error::HoldExceeded { .. } => {
            "The balance of the team, or the hold, does not cover the cost. Nothing was charged."
        }
        Error::PaymentFailed(_) => "The payment provider declined the payment, for this `reason`.",
        Error::NotFound(_) => {
            "The route, the team, the hold, the purchase, the cycle, the subscription or the account \
             does not exist."
        }
        Error::MethodNotAllowed => "The route has other methods, which the header `Allow` lists.",
        Error::AccountClosed => "The account of the team is closed for good.",
        Error::EnrichmentPaused => {
            "Enrichment is paused, because the credits did not cover an enrichment charge. It can be \
             restarted while the team has credits."
        }
        Error::HoldClosed(_) => {
            "The hold was released, or has expired. A charge may be sent again without the hold."
        }
        Error::NothingToRestart => "Enrichment is running.",
        Error::TooManyHolds => {
            "The team has the most open holds that are allowed. Release some, or wait until they \
             expire."
        }
        Error::TooLarge | Error::FileTooLarge => {
            "The body exceeds 2 MiB, or the file would be too large: narrow the range."
        }
        Error::UnsupportedMediaType => "The body is not `application/json` in UTF-8.",
        Error::KeyReused => {
            "The idempotency key was used for another request. Keys are compared for each person, \
             and for all machine clients of a team together."
        }
        Error::TooManyRequests { .. } => {
            "A person has sent too many requests that cost no credits. Nothing was changed. Wait for \
             the seconds of `Retry-After`."
        }
        Error::Busy => {
            "The service was too busy to answer in time. The request may have been applied: send it \
             again with the same key."
        }
        Error::Internal(_) => {
            "An internal error. The log has its cause under the `request_id`. The request may have \
             been applied: send it again with the same key."
        }
    }
}

/// All types, by status.
pub fn problem_types() -> Vec<ProblemType> {
    let mut types: Vec<ProblemType> = errors()
        .iter()
        .map(|error| {
            let example = if matches!(error, Error::Internal(_)) {
                Problem::internal(Some("JKJaXmPLvHcESHA="))
            } else {
                Problem::from(error)
            };
            let name = match (example.kind.rsplit_once('/'), example.status) {
                (Some((_, name)), 429) => format!("{name} 429"),
                (Some((_, name)), _) => name.to_owned(),
                (None, _) => "internal".to_owned(),
            };
            let words = name.split(['-', ' ']).map(|word| match word {
                "429" => "ForPerson".to_owned(),
                word => word[..1].to_uppercase() + &word[1..],
            });
            let schema = words.collect::<String>() + "Problem";
            ProblemType { name, schema, when: when(error), example }
        })
        .collect();
    types.sort_by_key(|kind| kind.example.status);
    types
}

impl ProblemType {
    /// The schema of the type: its constants, and its further fields.
    pub fn schema(&self) -> Value {
        let Problem { kind, title, status, more, .. } = &self.example;
        let mut properties = json!({
            "type": { "const": kind, "type": "string" },
            "title": { "const": title, "type": "string" },
            "status": { "const": status, "type": "integer" },
            "detail": { "type": "string", "description": "The explanation of this occurrence." },
        });
        let fields = properties.as_object_mut().unwrap();
        fields.extend(more.keys().map(|name| (name.clone(), field(name))));
        let required: Vec<String> = fields.keys().cloned().collect();
        json!({
            "type": "object",
            "description": self.when,
            "required": required,
            "properties": properties,
        })
    }

    /// The first problem of this type and status.
    pub fn find<'a>(&self, problems: &'a [Problem]) -> Option<&'a Problem> {
        let own = (self.example.kind, self.example.status);
        problems.iter().find(|problem| (problem.kind, problem.status) == own)
    }

    /// The headers of its answer, each with an example.
    pub const fn headers(&self) -> &'static [&'static str] {
        match self.example.status {
            401 => &["WWW-Authenticate"],
            405 => &["Allow"],
            429 => &["Retry-After", "RateLimit-Policy", "RateLimit"],
            503 => &["Retry-After"],
            _ => &[],
        }
    }
}

fn field(name: &str) -> Value {
    match name {
        "balance" | "required" | "shortfall" => reference("Credits"),
        "errors" => json!({ "type": "array", "minItems": 1, "items": reference("FieldError") }),
        "retry_after" => {
            json!({ "type": "integer", "minimum": 1, "description": "Seconds to wait." })
        }
        "reason" => json!({ "type": "string", "description": "The reason in plain words." }),
        "request_id" => {
            json!({ "type": "string", "description": "The id of the request in the log." })
        }
        other => panic!("{other} has no schema"),
    }
}

/// The reason phrase of a status.
pub fn phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status).unwrap().canonical_reason().unwrap()
}
