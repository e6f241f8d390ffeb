//! The event bus: sends messages to other systems, at least once.

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

/// The time to send a batch, unless the invocation ends earlier.
const RETRY_TIME: Duration = Duration::from_mins(4);

/// The number of concurrent calls.
const CONCURRENT_CALLS_MAX: usize = 4;

/// An event bus and its SDK client.
#[derive(Clone, Debug)]
pub struct Bus {
    client: Client,
    name: Arc<str>,
}

impl Bus {
    /// The bus with this name.
    #[must_use]
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into() }
    }

    /// The bus named by `EVENT_BUS_NAME`, with the region and the credentials from the environment.
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE` sets another endpoint, such as that of the local stack.
    ///
    /// # Errors
    /// [`Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        let mut config = Builder::from(&from_env()?);
        config.set_endpoint_url(var("AWS_ENDPOINT_URL_EVENTBRIDGE").ok());
        Ok(Self::new(Client::from_conf(config.build()), &need("EVENT_BUS_NAME")?))
    }

    /// Sends messages, each with a number of the caller. Returns the numbers of the messages that the bus
    /// may not have accepted.
    pub async fn publish(&self, messages: Vec<(usize, Message)>) -> BTreeSet<usize> {
        let sending = stream::iter(in_batches(messages)).map(|batch| self.send(batch));
        let left: Vec<_> = sending.buffer_unordered(CONCURRENT_CALLS_MAX).collect().await;
        left.into_iter().flatten().map(|(number, _)| number).collect()
    }

    /// Sends a batch, and retries its rejected messages until the budget ends. Returns the messages that
    /// are left.
    async fn send(&self, mut batch: Vec<Numbered>) -> Vec<Numbered> {
        let mut budget = RetryBudget::lasting(RETRY_TIME);
        loop {
            batch = self.try_send(batch, &budget).await;
            if batch.is_empty() || budget.back_off().await.is_err() {
                return batch;
            }
        }
    }

    /// Makes one call. Returns the messages that the bus rejected, or all messages if the call failed.
    async fn try_send(&self, batch: Vec<Numbered>, budget: &RetryBudget) -> Vec<Numbered> {
        let entries = batch.iter().map(|(_, message)| message.entry(&self.name)).collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let results = match budget.timeout(call).await {
            Ok(Ok(answer)) => answer.entries.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::warn!(error = %DisplayErrorContext(error), "a call to the bus failed");
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let sent = batch.into_iter().zip(results.iter().map(is_accepted).chain(repeat(false)));
        sent.filter(|(_, is_accepted)| !is_accepted).map(|(message, _)| message).collect()
    }
}

fn is_accepted(result: &PutEventsResultEntry) -> bool {
    let is_accepted = result.event_id.is_some();
    if !is_accepted {
        tracing::warn!(?result, "the bus rejected a message");
    }
    is_accepted
}

/// The configuration of every client of the bus, see [`connect::config`].
#[must_use]
pub fn config() -> Builder {
    Builder::from(&connect::config().build())
}
