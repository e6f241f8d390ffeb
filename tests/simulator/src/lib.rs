//! The credits table as AWS would have it, for tests: the real SDK, and in the place of its network
//! and of DynamoDB's fleet an embedded engine that takes time, in virtual time and from a seed.
//!
//! An emulator knows what a request does. It does not know that a request takes milliseconds, that
//! a transaction on an item keeps all others off it meanwhile, that a partition takes so much in a
//! second, or that an answer may never arrive. All that is here; [`nature`] has its figures. Under
//! one seed everything happens in the same order at the same virtual instants, however slow the
//! machine is: figures can be asserted, and a failing seed fails again.
//!
//! What is left out: transactions that are refused although they do not overlap, because an older
//! timestamp came late; items that split away from their partition under load; the limit of a whole
//! table, which on demand begins at 4,000 write units a second and doubles with use; idempotency by
//! request tokens; separate reads that see a transaction half done. A transaction that meets a conflict does
//! not disturb others on its free items.

mod bus;
mod connector;
mod limits;
pub mod nature;
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
pub use nature::Nature;
use table::Table;
pub use table::Tally;

/// A table and a bus, the network around them, and the time.
#[derive(Clone, Debug)]
pub struct World {
    table: Arc<Table>,
    bus: EventBridge,
    began: Instant,
    began_at: Time,
}

impl World {
    fn new(database: Database, seed: u64, nature: Nature, began_at: Time) -> Self {
        let table = Arc::new(Table::new(database, nature, seed));
        let bus = EventBridge::new(nature, seed);
        Self { table, bus, began: Instant::now(), began_at }
    }

    /// The table as a process of its own sees it, with the limits that a function has.
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
    /// [`engine::Failure`] of a world without one.
    pub fn records(&self) -> Result<Records, engine::Failure> {
        Records::of(self.table.database())
    }

    /// The event bus as a process of its own sees it.
    #[must_use]
    pub fn bus(&self) -> Bus {
        let connector = SharedHttpConnector::new(self.bus.clone());
        let config = bus_config()
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .region(Region::new(engine::REGION))
            .credentials_provider(credentials());
        Bus::new(aws_sdk_eventbridge::Client::from_conf(config.build()), "credits")
    }

    /// The entries that have arrived at the bus, in order, as the SDK has sent them.
    #[must_use]
    pub fn arrived(&self) -> Vec<Value> {
        self.bus.arrived()
    }

    /// The time in this world.
    #[must_use]
    pub fn now(&self) -> Time {
        let elapsed = jiff::SignedDuration::try_from(self.began.elapsed()).unwrap_or_default();
        let now = self.began_at.timestamp().checked_add(elapsed);
        now.map_or(self.began_at, Time::from)
    }

    /// The clock of a process: the time in this world plus a fixed skew.
    #[must_use]
    pub fn clock(&self, skew_ms: i64) -> Clock {
        let world = self.clone();
        Clock::new(move || {
            let millisecond = world.now().timestamp().as_millisecond();
            Time::of_millisecond(millisecond.saturating_add(skew_ms))
        })
    }

    /// What was counted since the last time, which starts the count anew.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.table.tally()
    }

    /// From now on it is like this.
    pub fn turn(&self, nature: Nature) {
        self.table.turn(nature);
        self.bus.turn(nature);
    }
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("virtual", "virtual", None, None, "virtual"))
}

/// Lives in a world that begins at that time, until it is over.
///
/// # Errors
/// [`engine::Failure`], or an I/O error of the runtime.
pub fn run<T>(
    seed: u64,
    nature: Nature,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    run_on(engine::without_stream()?, seed, nature, began_at, life)
}

/// The same in a world whose table has a stream.
///
/// # Errors
/// Those of [`run`].
pub fn run_with_stream<T>(
    seed: u64,
    nature: Nature,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    run_on(engine::with_stream()?, seed, nature, began_at, life)
}

fn run_on<T>(
    database: Database,
    seed: u64,
    nature: Nature,
    began_at: Time,
    life: impl AsyncFnOnce(World) -> T,
) -> Result<T, engine::Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // What is random in the SDK and in the store is so through this.
    fastrand::seed(seed);
    runtime.block_on(async { Ok(life(World::new(database, seed, nature, began_at)).await) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[test]
    fn a_clock_keeps_its_skew() {
        let began_at = Time::of_millisecond(1_000);
        run(0, Nature::CALM, began_at, async |world| {
            let clocks = [-500, 0, 500].map(|skew| world.clock(skew));
            let times = || clocks.clone().map(|clock| clock.now().timestamp().as_millisecond());
            assert_eq!(times(), [500, 1_000, 1_500]);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(times(), [520, 1_020, 1_520]);
        })
        .unwrap();
    }
}
