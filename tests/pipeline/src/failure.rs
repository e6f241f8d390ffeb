//! Why a run stopped. The same run may always be started again; it goes on where this one stopped.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::problem::Problem;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file is not as it must be, or not to be had.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The pool does not cover the worst case.
    #[error("not affordable, so nothing was reserved and no provider was asked. {0}")]
    NotAffordable(Problem),
    /// The service refused a request, or was busy for too long.
    #[error("{0}")]
    Refused(Problem),
    /// The service refused a charge.
    #[error("the charge `{key}` was refused. {problem}")]
    NotCharged {
        /// The charge's key.
        key: String,
        /// Why.
        problem: Problem,
    },
    /// The service gave no answer, however often it was asked.
    #[error("no answer from the service: {0}")]
    NoAnswer(#[from] reqwest::Error),
    /// The service answered something else than its contract says.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The service did not answer each charge of a batch.
    #[error("{answers} answers to {charges} charges")]
    Unanswered {
        /// How many charges were sent.
        charges: usize,
        /// How many answers came.
        answers: usize,
    },
    /// Somebody else has charged to the hold of this job, or something is very wrong.
    #[error("charged {charged} credits to the hold, but the service says {captured}")]
    Unsettled {
        /// The sum of the charges.
        charged: u64,
        /// What the hold says.
        captured: u64,
    },
}

impl Failure {
    /// Something about a file.
    pub fn file(path: &Path, reason: impl Display) -> Self {
        Self::File { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Whether the same request may go through if it is sent again. All requests have keys or only
    /// look, so that one whose answer got lost may be sent again as well.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_busy(),
            Self::NoAnswer(error) => !error.is_builder(),
            Self::File { .. }
            | Self::NotAffordable(_)
            | Self::NotCharged { .. }
            | Self::Unreadable(_)
            | Self::Unanswered { .. }
            | Self::Unsettled { .. } => false,
        }
    }

    /// How long to wait at least before the same request is sent again.
    pub fn retry_after(&self) -> Duration {
        if let Self::Refused(problem) = self { problem.retry_after } else { Duration::ZERO }
    }
}
