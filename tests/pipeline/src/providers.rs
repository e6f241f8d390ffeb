//! Simulated data providers. Their answers depend on the lead's id alone, so every run of a job has the
//! same results. Some find a result, some a risky one, some never answer.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use clap::ValueEnum;
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

/// An action for a lead, with its name in the catalogue.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Action {
    /// Finds and verifies an email address.
    EmailFinder,
    /// Finds an active phone number.
    PhoneFinder,
}

impl Action {
    /// The name in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmailFinder => "email_finder",
            Self::PhoneFinder => "phone_finder",
        }
    }

    /// The providers in the order of requests, and the outcomes, best first, with their percentages.
    const fn waterfall(self) -> (&'static [&'static str], &'static [Chance]) {
        match self {
            Self::EmailFinder => (
                &[
                    "alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak",
                    "pine",
                ],
                &[("deliverable", 12), ("risky", 3), ("unverified", 4), ("undeliverable", 6)],
            ),
            Self::PhoneFinder => (
                &["amber", "coral", "jade", "onyx", "ruby"],
                &[("valid", 12), ("inactive", 5), ("invalid", 5)],
            ),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

type Chance = (&'static str, u64);

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

/// The answer without a result.
const NOTHING: Answer = Answer { rank: usize::MAX, outcome: "not_found", provider: "" };

/// Asks the providers in order until one has the best outcome. Returns the best answer.
pub async fn find(action: Action, lead: &Lead) -> Answer {
    let (providers, outcomes) = action.waterfall();
    let mut best = NOTHING;
    for provider in providers {
        let answer = ask_again(provider, outcomes, lead).await;
        if answer.rank < best.rank {
            best = answer;
        }
        if best.rank == 0 {
            break;
        }
    }
    best
}

/// Asks a provider until it answers. A provider without an answer has no result.
async fn ask_again(provider: &'static str, outcomes: &[Chance], lead: &Lead) -> Answer {
    for attempt in 0..ATTEMPTS_MAX {
        let asked = ask(provider, outcomes, lead, attempt);
        if let Ok(answer) = timeout(REQUEST_TIMEOUT, asked).await {
            return answer;
        }
    }
    NOTHING
}

/// Simulates one request to a provider.
async fn ask(provider: &'static str, outcomes: &[Chance], lead: &Lead, attempt: u64) -> Answer {
    let mut dice = Rng::with_seed(hash(&[provider, &lead.id]).wrapping_add(attempt));
    if dice.u64(..100) < SILENT_PERCENT {
        pending::<()>().await;
    }
    sleep(Duration::from_millis(dice.u64(2..8))).await;
    let mut roll = dice.u64(..100);
    for (rank, (outcome, chances)) in outcomes.iter().enumerate() {
        match roll.checked_sub(*chances) {
            None => return Answer { rank, outcome, provider },
            Some(rest) => roll = rest,
        }
    }
    NOTHING
}

/// Returns the address or the number of an answer; empty without a result.
pub fn value(action: Action, lead: &Lead, answer: Answer) -> String {
    if answer.provider.is_empty() {
        return String::new();
    }
    match action {
        Action::EmailFinder => {
            let is_letter = |c: &char| c.is_alphanumeric() || *c == ' ';
            let name: String = lead.name.to_lowercase().chars().filter(is_letter).collect();
            let name = name.split_whitespace().collect::<Vec<_>>().join(".");
            format!("{name}@{}", lead.domain.replace(char::is_control, ""))
        }
        // These numbers are reserved for fictional use.
        Action::PhoneFinder => format!("+120255501{:02}", hash(&[&lead.id]) % 100),
    }
}

/// FNV-1a, which is equal on all machines.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
