//! The table: one method per access pattern, its expressions as visible strings.

mod access;
pub mod account;
pub mod batch;
pub mod change;
pub mod charge;
pub mod choice;
mod company;
pub mod connect;
mod count;
pub mod due;
mod expression;
pub mod failure;
pub mod history;
pub mod hold;
pub mod keys;
mod lane;
pub mod outcome;
pub mod pool;
pub mod purchase;
mod recall;
mod shortage;
pub mod statement;
pub mod stream;
mod top_up;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use crate::aws::retry;
use company::Crowds;
use lane::Lanes;
use retry::RetryBudget;
use shortage::Shortages;

/// How long an operation tries against contention and throttling before it gives up as busy.
pub const RETRY_TIME: Duration = Duration::from_secs(5);

/// The credits table, through one SDK client. Clones are one process: they share writes, a lane for
/// each team, and what is known of pools that could not pay.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    retry_time: Duration,
    shortages: Shortages,
    crowds: Crowds,
    lanes: Lanes,
}

impl Store {
    /// The table of that name.
    #[must_use]
    pub fn new(client: Client, table: &str) -> Self {
        Self {
            client,
            table: table.into(),
            retry_time: RETRY_TIME,
            shortages: Shortages::default(),
            crowds: Crowds::default(),
            lanes: Lanes::default(),
        }
    }

    /// The same table, given up on after `budget`.
    #[must_use]
    pub fn with_retry_time(self, retry_time: Duration) -> Self {
        Self { retry_time, ..self }
    }

    fn retry_budget(&self) -> RetryBudget {
        RetryBudget::lasting(self.retry_time)
    }
}
