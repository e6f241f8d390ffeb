//! The answers that are stored under idempotency keys.

use std::collections::BTreeMap;

use crate::http::{Answer, Request};
use crate::refusal::Refusal;

/// The seconds for which an answer is stored.
const STORED_FOR: i64 = 86_400;

/// The longest idempotency key.
const KEY_CHARS_MAX: usize = 255;

#[derive(Debug)]
struct Stored {
    method: String,
    path: String,
    fields: Vec<(String, String)>,
    answer: Answer,
    at: i64,
}

/// The stored answers by key.
#[derive(Debug, Default)]
pub(crate) struct StoredAnswers(BTreeMap<String, Stored>);

impl StoredAnswers {
    /// Removes the answers that are older than 24 hours.
    pub(crate) fn prune(&mut self, now: i64) {
        self.0.retain(|_, stored| now.saturating_sub(stored.at) < STORED_FOR);
    }

    /// Returns the answer of the first request with the same key.
    pub(crate) fn find(&self, request: &Request) -> Result<Option<Answer>, Refusal> {
        let Some(key) = key(request) else { return Ok(None) };
        if key.chars().count() > KEY_CHARS_MAX {
            return Err(Refusal::invalid("Idempotency keys can have up to 255 characters."));
        }
        let Some(stored) = self.0.get(key) else { return Ok(None) };
        let is_same = stored.method == request.method
            && stored.path == request.api_path()
            && stored.fields == sorted(&request.fields);
        if !is_same {
            return Err(Refusal::other_request(key));
        }
        Ok(Some(Answer { is_replay: true, ..stored.answer.clone() }))
    }

    pub(crate) fn store(&mut self, request: &Request, answer: &Answer, now: i64) {
        let Some(key) = key(request) else { return };
        let stored = Stored {
            method: request.method.clone(),
            path: request.api_path().to_owned(),
            fields: sorted(&request.fields),
            answer: answer.clone(),
            at: now,
        };
        self.0.insert(key.to_owned(), stored);
    }
}

/// The key of a request that can have one.
fn key(request: &Request) -> Option<&str> {
    request.idempotency_key.as_deref().filter(|_| request.method == "POST")
}

fn sorted(fields: &[(String, String)]) -> Vec<(String, String)> {
    let mut fields = fields.to_vec();
    fields.sort();
    fields
}
