//! The table: one method per access pattern, its expressions as visible strings.
//!
//! Methods are named object first, verb second. A file imports files of the groups above it only, and a method calls
//! methods of its own file and of these groups only; a test checks it.

pub mod dynamo;

mod counters;
pub mod entry;
mod operation;
mod team_cache;

mod lane_cache;
pub mod pool;

mod lane;
mod open_hold;

mod hold_expiry;
mod recall;
mod terms;

pub mod upkeep;

pub mod customer;
pub mod history;

pub mod gift;
pub mod hold;
pub mod purchase;
pub mod settings;

pub mod charge;

mod monitored_month;
mod top_up;

pub mod monitored_account;

pub mod connect;
pub mod due;
pub mod enrichment;
pub mod statement;
pub mod stream;

pub mod pending_purchase;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;

pub use crate::aws::retry;
use crate::domain::ids::TeamId;
use crate::domain::time::Time;
use charge::{RefusalCache, WriteQueues};
pub use dynamo::{failure, keys};
use lane_cache::LaneCache;
use operation::Operation;
pub use recall::CHANGE_MARK_SECONDS;
use retry::RetryBudget;

/// An operation retries contention and throttling for this time, then answers busy.
pub const RETRY_TIME: Duration = Duration::from_secs(5);

/// The credits table, through one SDK client. Clones are one process: they share writes, one lane for each team, and
/// the cache of refusals.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    table: Arc<str>,
    retry_time: Duration,
    refusals: RefusalCache,
    queues: WriteQueues,
    lanes: LaneCache,
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
            lanes: LaneCache::default(),
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

    fn operation(&self, team: &TeamId, now: Time) -> Operation {
        Operation::new(team, now, self.retry_budget())
    }
}
