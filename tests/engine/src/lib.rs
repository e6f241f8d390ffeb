//! A DynamoDB engine in this process, with the credits table as `template.yaml` describes it. Only
//! the local stack and the tests use it.

mod catalogue;
mod database;
mod limited;
pub mod limits;
pub mod policy;
mod stream;
mod table;
mod wire;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Region;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use dynoxide::{Database, server};
use shared::store::{Store, connect};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use limited::{allowed, limited};
use table::Stream;

pub use catalogue::{catalogue, catalogue_file, prices};
pub use stream::Records;
pub use table::template;
pub use wire::{Meter, Reading};

/// The name of the table on this machine.
pub const TABLE: &str = "credits";

/// The region of local clients. The engine ignores it.
pub const REGION: &str = "eu-west-1";

/// The reason why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine could not open its database or create the table.
    #[error("the database: {0}")]
    Database(String),
    /// The directory of the database cannot be made or written to.
    #[error(
        "the directory {} cannot be used: {source}. Name another one with --data, or leave it out to keep \
         everything in memory", directory.display()
    )]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Another stack uses the directory.
    #[error(
        "another stack uses the directory {}. Stop it, or name another directory with --data", .0.display()
    )]
    InUse(PathBuf),
    /// The file is not a database of this stack.
    #[error(
        "{} is no database of this stack, or one of another version. Move it away, or name another directory \
         with --data", .0.display()
    )]
    Foreign(PathBuf),
    /// The engine cannot listen on its address.
    #[error("the engine cannot listen: {0}")]
    Listen(#[from] io::Error),
    /// `template.yaml` does not describe the table.
    #[error("template.yaml: {0}")]
    Template(String),
}

/// A running engine. It stops when it is dropped.
pub struct Engine {
    endpoint: String,
    database: Database,
    _lock: Option<File>,
    _stop: oneshot::Sender<()>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.endpoint).finish()
    }
}

impl Engine {
    /// Starts an engine for a test: in memory, without a stream, on any free port.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn in_memory() -> Result<Self, Failure> {
        Self::serve(without_stream()?, None, 0).await
    }

    /// Starts an engine in memory, or in a directory, where acknowledged writes survive a kill.
    /// Port 0 means any free port.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn start(directory: Option<&Path>, port: u16) -> Result<Self, Failure> {
        let Some(directory) = directory else {
            return Self::serve(with_stream()?, None, port).await;
        };
        let (database, lock) = database::in_directory(directory)?;
        let is_created = table::create(&database, Stream::On)?;
        if !is_created && !table::is_as_described(&database)? {
            return Err(Failure::Foreign(directory.join("credits.db")));
        }
        Self::serve(database, Some(lock), port).await
    }

    async fn serve(database: Database, lock: Option<File>, port: u16) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = database.clone();
        tokio::spawn(async move {
            let stopped = async move {
                // An error means that the engine was dropped, which also stops it.
                let _ = stopped.await;
            };
            // A listener that accepts connections does not fail.
            let _ = server::serve_with_shutdown(listener, served, stopped).await;
        });
        Ok(Self { endpoint, database, _lock: lock, _stop: stop })
    }

    /// The URL of the engine.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The records of the table's stream, from the first one on.
    ///
    /// # Errors
    /// [`Failure`] of an engine without a stream.
    pub fn records(&self) -> Result<Records, Failure> {
        Records::of(self.database.clone())
    }

    /// A client of the engine.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_with(&Meter::default())
    }

    /// A client of the engine whose calls `meter` counts.
    #[must_use]
    pub fn client_with(&self, meter: &Meter) -> Client {
        Client::from_conf(config(&self.endpoint).interceptor(meter.clone()).build())
    }

    /// The credits table.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store_with(&Meter::default())
    }

    /// The credits table. Counts its calls with `meter` and rejects writes that the functions'
    /// policies deny.
    #[must_use]
    pub fn store_with(&self, meter: &Meter) -> Store {
        let config = config(&self.endpoint).interceptor(meter.clone()).build();
        let mut allowing = config.to_builder();
        allowing.set_http_client(config.http_client().map(allowed));
        Store::new(Client::from_conf(allowing.build()), TABLE).with_retry_time(TEST_TIMEOUT)
    }
}

/// A database in memory with the credits table and without its stream, which is slow.
///
/// # Errors
/// [`Failure`].
pub fn without_stream() -> Result<Database, Failure> {
    let database = Database::memory().map_err(|error| Failure::Database(error.to_string()))?;
    table::create(&database, Stream::Off)?;
    Ok(database)
}

/// A database in memory with the credits table and its stream.
///
/// # Errors
/// [`Failure`].
pub fn with_stream() -> Result<Database, Failure> {
    let database = database::in_memory()?;
    table::create(&database, Stream::On)?;
    Ok(database)
}

/// The engine shares this machine with its clients, so a call may take longer than on AWS.
const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The configuration of a client of a local DynamoDB. The client rejects requests beyond the
/// [`limits`].
#[must_use]
pub fn config(endpoint: &str) -> aws_sdk_dynamodb::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(TEST_TIMEOUT)
        .operation_attempt_timeout(TEST_TIMEOUT)
        .operation_timeout(TEST_TIMEOUT)
        .build();
    let common = connect::config().build();
    let mut config = common.to_builder();
    config.set_http_client(common.http_client().map(limited));
    config
        .timeout_config(timeouts)
        .endpoint_url(endpoint)
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
}
