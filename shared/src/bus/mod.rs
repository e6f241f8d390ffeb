//! The event bus: events go out to other systems, at least once.

mod batch;

use std::collections::HashSet;
use std::env::var;
use std::iter::repeat;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::Builder;
use aws_sdk_eventbridge::types::PutEventsResultEntry;
use futures_util::{StreamExt, stream};

use crate::aws::connect::{self, Missing, from_env, need};
use crate::aws::failure::{failure, is_passing};
use crate::aws::patience::Patience;
use crate::domain::Error;
use crate::domain::event::Event;
use crate::domain::ids::Id;
use batch::{Parcel, in_batches};

/// How long a batch is tried before it is given up, if the invocation has that long. The stream comes
/// again a limited number of times, so a bus that is down is waited for here.
const PATIENCE: Duration = Duration::from_mins(4);

/// How many batches are sent at a time.
const AT_ONCE: usize = 4;

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

    /// Sends events. The ids of those that may not have arrived.
    ///
    /// # Errors
    /// [`Error::Internal`] for an event that cannot be written as JSON; nothing was sent then.
    pub async fn publish(&self, events: &[Event]) -> Result<HashSet<Id>, Error> {
        let parcels: Result<_, Error> =
            events.iter().map(|event| Parcel::new(&self.name, event)).collect();
        let sending = stream::iter(in_batches(parcels?)).map(|batch| self.send(batch));
        let left: Vec<_> = sending.buffer_unordered(AT_ONCE).collect().await;
        Ok(left.into_iter().flatten().map(|parcel| parcel.id).collect())
    }

    /// Sends one batch, and what of it did not arrive once more, until the time is up. What has not
    /// arrived by then.
    async fn send(&self, mut batch: Vec<Parcel>) -> Vec<Parcel> {
        let mut patience = Patience::until(PATIENCE);
        let mut left = Vec::new();
        loop {
            let mut again = Vec::new();
            for (parcel, fate) in self.try_send(batch, &patience).await {
                match fate {
                    Fate::Arrived => {}
                    Fate::Again => again.push(parcel),
                    Fate::Refused => left.push(parcel),
                }
            }
            if again.is_empty() || patience.pause().await.is_err() {
                left.extend(again);
                return left;
            }
            batch = again;
        }
    }

    /// One call, and what became of each entry of it.
    async fn try_send(&self, batch: Vec<Parcel>, patience: &Patience) -> Vec<(Parcel, Fate)> {
        let entries = batch.iter().map(|parcel| parcel.entry.clone()).collect();
        let call = self.client.put_events().set_entries(Some(entries)).send();
        let answer = patience.bound(call).await.and_then(|answer| answer.map_err(failure));
        let (results, others) = match answer {
            // What an answer does not tell of has not arrived.
            Ok(answer) => (answer.entries.unwrap_or_default(), Fate::Again),
            Err(Error::Busy) => (Vec::new(), Fate::Again),
            Err(error) => {
                tracing::error!(%error, "the bus refused a batch");
                (Vec::new(), Fate::Refused)
            }
        };
        batch.into_iter().zip(results.iter().map(fate).chain(repeat(others))).collect()
    }
}

/// What became of an event.
#[derive(Clone, Copy)]
enum Fate {
    Arrived,
    /// It may arrive if it is sent once more.
    Again,
    Refused,
}

fn fate(result: &PutEventsResultEntry) -> Fate {
    if result.event_id.is_some() {
        return Fate::Arrived;
    }
    if is_passing(result.error_code()) {
        return Fate::Again;
    }
    tracing::error!(?result, "the bus refused an event");
    Fate::Refused
}

/// What every client of the bus has in common: its HTTP stack and its limits.
#[must_use]
pub fn config() -> Builder {
    Builder::from(&connect::config().build())
}
