//! Simulated data providers. What they answer depends on the lead's id alone, so that a run can be
//! repeated to the credit; some find something, some find something risky, some never answer.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use crate::leads::Lead;

/// How long a provider may take to answer.
const RETRY_TIME: Duration = Duration::from_millis(50);

/// How often a provider is asked that does not answer in time.
const TRIES: u64 = 2;

/// In so many of a hundred cases a provider never answers.
const SILENT: u64 = 5;

/// What can be done with a lead, named as in the catalogue.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Action {
    /// Find an email address and verify it.
    EmailFinder,
    /// Find a phone number that is active.
    PhoneFinder,
}

impl Action {
    /// Its name in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EmailFinder => "email_finder",
            Self::PhoneFinder => "phone_finder",
        }
    }

    /// The providers, in the order in which they are asked, and the outcomes, the best first, each with its
    /// chances of a hundred.
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

/// What a provider answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The place of the outcome among those of the action; 0 is the best.
    rank: usize,
    /// How it came out.
    pub outcome: &'static str,
    /// Who said so; empty if nobody found anything.
    pub provider: &'static str,
}

/// What is known when nobody has found anything.
const NOTHING: Answer = Answer { rank: usize::MAX, outcome: "not_found", provider: "" };

/// Asks one provider after the other until one has a valid result; otherwise it is the best of what
/// they answered.
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

/// Asks a provider until it answers. One that does not has found nothing.
async fn ask_again(provider: &'static str, outcomes: &[Chance], lead: &Lead) -> Answer {
    for attempt in 0..TRIES {
        let asked = ask(provider, outcomes, lead, attempt);
        if let Ok(answer) = timeout(RETRY_TIME, asked).await {
            return answer;
        }
    }
    NOTHING
}

/// The simulation itself.
async fn ask(provider: &'static str, outcomes: &[Chance], lead: &Lead, attempt: u64) -> Answer {
    let mut dice = Rng::with_seed(hash(&[provider, &lead.id]).wrapping_add(attempt));
    if dice.u64(..100) < SILENT {
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

/// The address or the number that goes with an outcome.
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
        // Numbers that are reserved for fiction.
        Action::PhoneFinder => format!("+120255501{:02}", hash(&[&lead.id]) % 100),
    }
}

/// FNV-1a: the same in every run and on every machine.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
