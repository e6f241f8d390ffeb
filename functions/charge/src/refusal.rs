//! The log line of a refused charge from the queue or a direct invocation: its answer may have no reader.

use lambda_http::tracing;
use serde::Deserialize;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::ids::{Key, TeamId};
use shared::domain::ledger::entry::Entry;
use shared::http::problem::{Problem, log_internal};

/// The team and the key of a charge, for the log.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    team: TeamId,
    key: Option<Key>,
}

/// The fields of a request that the log needs.
#[derive(Deserialize)]
struct Address {
    team: TeamId,
    #[serde(default)]
    key: Option<Value>,
}

impl Asked {
    /// The team and the key of a request that may be invalid otherwise.
    pub(crate) fn read(request: &[u8]) -> Option<Self> {
        let Address { team, key } = serde_json::from_slice(request).ok()?;
        let key = key.as_ref().and_then(Value::as_str).and_then(|key| key.parse().ok());
        Some(Self { team, key })
    }
}

impl From<&Entry> for Asked {
    fn from(entry: &Entry) -> Self {
        Self { team: entry.team.clone(), key: entry.key.clone() }
    }
}

/// Logs a refusal with the team, the key and the problem; without team and key if the request has no valid
/// ones.
pub(crate) fn log_refusal(asked: Option<&Asked>, error: &Error) {
    log_internal(error);
    let Problem { kind, detail, .. } = Problem::from(error);
    let team = asked.map(|asked| asked.team.as_str());
    let key = asked.and_then(|asked| asked.key.as_ref()).map(Key::as_str);
    tracing::warn!(team, key, problem = kind, detail, "a charge was refused");
}
