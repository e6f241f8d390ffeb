//! The table: one method per access pattern, its expressions as visible strings.

pub mod account;
pub mod batch;
pub mod charge;
mod coalescing;
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
mod refusal_cache;
mod requests;
pub mod settings;
pub mod statement;
pub mod stream;
pub mod terms;
mod top_up;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use crate::aws::retry;
use coalescing::WriteQueues;
use lane::Lanes;
use refusal_cache::RefusalCache;
use retry::RetryBudget;

/// An operation retries contention and throttling for this time, then answers busy.
pub const RETRY_TIME: Duration = Duration::from_secs(5);

/// The credits table, through one SDK client. Clones are one process: they share writes, one lane for
/// each team, and the cache of refusals.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    retry_time: Duration,
    refusals: RefusalCache,
    queues: WriteQueues,
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
            refusals: RefusalCache::default(),
            queues: WriteQueues::default(),
            lanes: Lanes::default(),
        }
    }

    /// The same table; operations give up after `retry_time`.
    #[must_use]
    pub fn with_retry_time(self, retry_time: Duration) -> Self {
        Self { retry_time, ..self }
    }

    fn retry_budget(&self) -> RetryBudget {
        RetryBudget::lasting(self.retry_time)
    }
}
