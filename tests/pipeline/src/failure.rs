//! The errors of a run. After each of them the same run can be started again and continues.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::problem::Problem;
use crate::providers::Action;

/// The error of a run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file is invalid or cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The pool does not cover the maximum cost.
    #[error(
        "not affordable: no credits are held and no provider was asked. {problem}{}",
        options(cheaper)
    )]
    NotAffordable {
        /// The refusal of the hold.
        problem: Problem,
        /// Cheaper actions that the pool covers, with their maximum cost.
        cheaper: Vec<(Action, u64)>,
    },
    /// The service refused a request, or stayed busy for all retries.
    #[error("{0}")]
    Refused(Problem),
    /// The service refused a charge.
    #[error("the charge `{key}` was refused. {problem}")]
    NotCharged {
        /// The key of the charge.
        key: String,
        /// The refusal.
        problem: Problem,
    },
    /// The service did not answer, in any retry.
    #[error("no answer from the service: {0}")]
    NoAnswer(#[from] reqwest::Error),
    /// An answer does not follow the contract.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The service did not answer each charge of a batch.
    #[error("{answers} answers to {charges} charges")]
    Unanswered {
        /// The number of charges sent.
        charges: usize,
        /// The number of answers.
        answers: usize,
    },
    /// The captures of the hold differ from the charges of this job.
    #[error("charged {charged} credits to the hold, but the hold has {captured} captured")]
    Unsettled {
        /// The sum of the charges.
        charged: u64,
        /// The captured credits of the hold.
        captured: u64,
    },
}

impl Failure {
    /// An error of a file.
    pub fn file(path: &Path, reason: impl Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Whether a retry of the request may succeed. Every request has a key or only reads, so a request
    /// whose answer was lost can be sent again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_busy(),
            Self::NoAnswer(error) => !error.is_builder(),
            Self::File { .. }
            | Self::NotAffordable { .. }
            | Self::NotCharged { .. }
            | Self::Unreadable(_)
            | Self::Unanswered { .. }
            | Self::Unsettled { .. } => false,
        }
    }

    /// The minimum pause before a retry.
    pub fn retry_after(&self) -> Duration {
        if let Self::Refused(problem) = self { problem.retry_after } else { Duration::ZERO }
    }
}

/// Returns a line per cheaper action, each with the option that selects it.
fn options(cheaper: &[(Action, u64)]) -> String {
    let option = |(action, maximum): &(Action, u64)| {
        format!("\naffordable: --actions {action}, at most {maximum} credits")
    };
    cheaper.iter().map(option).collect()
}
