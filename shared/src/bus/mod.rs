//! The event bus: messages go out to other systems, at least once.

mod message;

use std::collections::BTreeSet;
use std::env::var;
use std::iter::repeat;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Builder;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use futures_util::{StreamExt, stream};

use crate::aws::connect::{self, Missing, from_env, need};
use crate::aws::retry::RetryBudget;
pub use message::Message;
use message::{Numbered, in_batches};

/// How long a batch is tried, unless the invocation ends earlier.
const RETRY_TIME: Duration = Duration::from_mins(4);

/// How many batches are sent at a time.
const CONCURRENT_CALLS_MAX: usize = 4;

/// An event bus, through one SDK client.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

impl Bus {
    /// The bus of that name.
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// The bus named by `EVENT_BUS_NAME`, with the region and the credentials that Lambda gives.
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE` names another endpoint, such as the local stack's.
    ///
    /// # Errors
    /// [`Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        let mut config = Builder::from(&from_env()?);
        config.set_endpoint_url(var("AWS_ENDPOINT_URL_EVENTBRIDGE").ok());
        Ok(Self::new(Client::from_conf(config.build()), &need("EVENT_BUS_NAME")?))
    }

    /// Sends messages, each under a number that the caller chooses. Returns the numbers of the
    /// messages that the bus may not have taken.
    pub async fn publish(&self, messages: Vec<(usize, Message)>) -> BTreeSet<usize> {
        let sending = stream::iter(in_batches(messages)).map(|batch| self.send(batch));
        let left: Vec<_> = sending.buffer_unordered(CONCURRENT_CALLS_MAX).collect().await;
        left.into_iter().flatten().map(|(number, _)| number).collect()
    }

    /// Sends a batch, and the rest of it again after any error, until the time is up. Returns the
    /// messages that are left.
    async fn send(&self, mut batch: Vec<Numbered>) -> Vec<Numbered> {
        let mut budget = RetryBudget::lasting(RETRY_TIME);
        loop {
            batch = self.try_send(batch, &budget).await;
            if batch.is_empty() || budget.back_off().await.is_err() {
                return batch;
            }
        }
    }

    /// One call. Returns the messages that the bus did not take, or for which there is no answer.
    async fn try_send(&self, batch: Vec<Numbered>, budget: &RetryBudget) -> Vec<Numbered> {
        let entries = batch.iter().map(|(_, message)| message.entry(&self.name)).collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let results = match budget.timeout(call).await {
            Ok(Ok(answer)) => answer.entries.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::warn!(error = %DisplayErrorContext(error), "the bus took no message");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let sent = batch.into_iter().zip(results.iter().map(is_taken).chain(repeat(false)));
        sent.filter(|(_, is_taken)| !is_taken).map(|(message, _)| message).collect()
    }
}

fn is_taken(result: &PutEventsResultEntry) -> bool {
    let is_taken = result.event_id.is_some();
    if !is_taken {
        tracing::warn!(?result, "the bus did not take a message");
    }
    is_taken
}

/// What every client of the bus has in common: its HTTP stack and its limits.
#[must_use]
pub fn config() -> Builder {
    Builder::from(&connect::config().build())
}
