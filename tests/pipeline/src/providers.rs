//! Simulated data providers, which `providers.json` describes. Their answers depend on the lead's id alone, so every
//! run of a job has the same results. Some find a result, some a risky one, some never answer.

use std::fmt;
use std::future::pending;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::leads::Lead;

/// Timeout of one request to a provider.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(50);

/// Attempts per provider.
const ATTEMPTS_MAX: u64 = 2;

/// Requests without an answer, in percent.
const SILENT_PERCENT: u64 = 5;

/// The simulation of an action.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
struct Simulation {
    /// The name of the action in the catalogue.
    action: String,
    /// The providers in the order of requests.
    providers: Vec<String>,
    /// The outcomes, best first, with their percentages.
    outcomes: Vec<(String, u64)>,
    /// The outcome without a result.
    without_result: String,
    /// The value of a result: `{name}` and `{domain}` are of the lead, `{digits}` are two digits.
    value: String,
}

/// The simulated actions. A test runs all of them, so the file is valid.
static SIMULATIONS: LazyLock<Vec<Simulation>> =
    LazyLock::new(|| serde_json::from_str(include_str!("providers.json")).unwrap_or_default());

/// An action for a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Action(&'static Simulation);

impl Action {
    /// All actions.
    pub fn all() -> impl Iterator<Item = Self> {
        SIMULATIONS.iter().map(Self)
    }

    /// The name in the catalogue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        &self.0.action
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::all().map(Self::as_str).collect::<Vec<_>>().join(", ");
        Self::all()
            .find(|action| action.as_str() == name)
            .ok_or_else(|| format!("must be one of {}", known()))
    }
}

impl TryFrom<String> for Action {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.as_str().to_owned()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer of a provider.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The rank of the outcome; 0 is the best.
    rank: usize,
    /// The outcome.
    pub outcome: &'static str,
    /// The provider; empty without a result.
    pub provider: &'static str,
}

impl Answer {
    /// The answer without a result.
    fn nothing(action: Action) -> Self {
        Self { rank: usize::MAX, outcome: &action.0.without_result, provider: "" }
    }
}

/// Asks the providers in order until one has the best outcome. Returns the best answer.
pub async fn find(action: Action, lead: &Lead) -> Answer {
    let mut best = Answer::nothing(action);
    for provider in &action.0.providers {
        if let Some(answer) = ask_again(provider, action, lead).await
            && answer.rank < best.rank
        {
            best = answer;
        }
        if best.rank == 0 {
            break;
        }
    }
    best
}

/// Asks a provider until it answers. A provider without an answer has no result.
async fn ask_again(provider: &'static str, action: Action, lead: &Lead) -> Option<Answer> {
    for attempt in 0..ATTEMPTS_MAX {
        let asked = ask(provider, action, lead, attempt);
        if let Ok(answer) = timeout(REQUEST_TIMEOUT, asked).await {
            return answer;
        }
    }
    None
}

/// Simulates one request to a provider.
async fn ask(provider: &'static str, action: Action, lead: &Lead, attempt: u64) -> Option<Answer> {
    let mut dice = Rng::with_seed(hash(&[provider, &lead.id]).wrapping_add(attempt));
    if dice.u64(..100) < SILENT_PERCENT {
        pending::<()>().await;
    }
    sleep(Duration::from_millis(dice.u64(2..8))).await;
    let mut roll = dice.u64(..100);
    for (rank, (outcome, chances)) in action.0.outcomes.iter().enumerate() {
        match roll.checked_sub(*chances) {
            None => return Some(Answer { rank, outcome, provider }),
            Some(rest) => roll = rest,
        }
    }
    None
}

/// Returns the value of an answer, such as an address; empty without a result.
pub fn value(action: Action, lead: &Lead, answer: Answer) -> String {
    if answer.provider.is_empty() {
        return String::new();
    }
    let is_letter = |c: &char| c.is_alphanumeric() || *c == ' ';
    let name: String = lead.name.to_lowercase().chars().filter(is_letter).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(".");
    let digits = format!("{:02}", hash(&[&lead.id]) % 100);
    let value = action.0.value.replace("{name}", &name).replace("{digits}", &digits);
    value.replace("{domain}", &lead.domain.replace(char::is_control, ""))
}

/// FNV-1a, which is equal on all machines.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
