//! A simulation of the credits table on AWS for tests. It runs the real SDK and replaces the network
//! and DynamoDB by an embedded engine with latencies, in virtual time and from a seed.
//!
//! An emulator executes requests correctly. The simulation adds the latency of a request, the locks of
//! a transaction, the throughput of a partition, and lost answers; [`faults`] has the figures. The same
//! seed gives the same order of events at the same virtual instants on every machine, so figures can
//! be asserted and a failed seed can be repeated.
//!
//! Not simulated: transactions rejected without an overlap because of a late timestamp; items that are
//! moved to a partition of their own under load; the throughput of a whole table, which on demand
//! begins at 4,000 write units per second and doubles with use; idempotency by request tokens; separate
//! reads that observe a part of a transaction. A transaction in conflict does not lock its other items.

mod bus;
mod connector;
pub mod faults;
mod limits;
mod table;

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Region;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use dynoxide::Database;
use engine::Records;
use serde_json::Value;
use shared::bus::{Bus, config as bus_config};
use shared::domain::time::Time;
use shared::lambda::Clock;
use shared::store::{Store, connect};
use tokio::time::Instant;

use bus::EventBridge;
use connector::Connector;
pub use faults::Faults;
use table::Table;
pub use table::Tally;

/// A table and a bus with simulated network and time.
#[derive(Clone, Debug)]
pub struct World {
    table: Arc<Table>,
    bus: EventBridge,
    began: Instant,
    began_at: Time,
}

impl World {
    fn new(database: Database, seed: u64, faults: Faults, began_at: Time) -> Self {
        let table = Arc::new(Table::new(database, faults, seed));
        let bus = EventBridge::new(faults, seed);
        Self { table, bus, began: Instant::now(), began_at }
    }

    /// The table as a separate process accesses it, with the limits of a function.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new(self.client(), engine::TABLE)
    }

    /// A client of the table.
    #[must_use]
    pub fn client(&self) -> Client {
        let connector = SharedHttpConnector::new(Connector(Arc::clone(&self.table)));
        let config = connect::config()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new(engine::REGION))
            .credentials_provider(credentials());
        Client::from_conf(config.build())
    }

    /// The records of the table's stream, from the first one on.
    ///
    /// # Errors
    /// [`engine::Failure`] without a stream.
    pub fn records(&self) -> Result<Records, engine::Failure> {
        Records::of(self.table.database())
    }

    /// The event bus as a separate process accesses it.
    #[must_use]
    pub fn bus(&self) -> Bus {
        let connector = SharedHttpConnector::new(self.bus.clone());
        let config = bus_config()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new(engine::REGION))
            .credentials_provider(credentials());
        Bus::new(aws_sdk_eventbridge::Client::from_conf(config.build()), "credits")
    }

    /// The entries that have arrived at the bus, in order, as the SDK sent them.
    #[must_use]
    pub fn arrived(&self) -> Vec<Value> {
        self.bus.arrived()
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = jiff::SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        let now = self.began_at.timestamp().checked_add(elapsed);
        now.map_or(self.began_at, Time::from)
    }

    /// The clock of a process: the simulated time plus a fixed skew.
    #[must_use]
    pub fn clock(&self, skew_ms: i64) -> Clock {
        let world = self.clone();
        Clock::new(move || {
            let millisecond = world.now().timestamp().as_millisecond();
            Time::of_millisecond(millisecond.saturating_add(skew_ms))
        })
    }

    /// Returns the counts since the last call, and resets them.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.table.tally()
    }

    /// Sets the fault rates of all later calls.
    pub fn set_faults(&self, faults: Faults) {
        self.table.set_faults(faults);
        self.bus.set_faults(faults);
    }
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("virtual", "virtual", None, None, "virtual"))
}

/// Runs `life` in a simulation that starts at `began_at`.
///
/// # Errors
/// [`engine::Failure`], or an I/O error of the runtime.
pub fn run<T>(
    seed: u64,
    faults: Faults,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    run_on(engine::without_stream()?, seed, faults, began_at, life)
}

/// As [`run`], with a stream.
///
/// # Errors
/// Those of [`run`].
pub fn run_with_stream<T>(
    seed: u64,
    faults: Faults,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    run_on(engine::with_stream()?, seed, faults, began_at, life)
}

fn run_on<T>(
    database: Database,
    seed: u64,
    faults: Faults,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // The SDK and the store use this source of random numbers.
    fastrand::seed(seed);
    runtime.block_on(async { Ok(life(World::new(database, seed, faults, began_at)).await) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[test]
    fn a_clock_keeps_its_skew() {
        let began_at = Time::of_millisecond(1_000);
        run(0, Faults::NONE, began_at, async |world| {
            let clocks = [-500, 0, 500].map(|skew| world.clock(skew));
            let times = || clocks.clone().map(|clock| clock.now().timestamp().as_millisecond());
            assert_eq!(times(), [500, 1_000, 1_500]);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(times(), [520, 1_020, 1_520]);
        })
        .unwrap();
    }
}
