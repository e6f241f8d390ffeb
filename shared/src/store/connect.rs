//! The connection of a function to the table.

use std::env::var;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;

use super::Store;
use crate::aws::connect::{self, Missing, from_env, need};

impl Store {
    /// The store of the table `TABLE_NAME`, with region and credentials from the environment.
    /// `AWS_ENDPOINT_URL_DYNAMODB` sets another endpoint.
    ///
    /// # Errors
    /// [`Missing`] if a required variable is not set.
    pub fn from_env() -> Result<Self, Missing> {
        let mut config = Builder::from(&from_env()?);
        config.set_endpoint_url(var("AWS_ENDPOINT_URL_DYNAMODB").ok());
        Ok(Self::new(Client::from_conf(config.build()), &need("TABLE_NAME")?))
    }
}

/// The configuration that all clients of the table share: HTTP stack and timeouts.
#[must_use]
pub fn config() -> Builder {
    Builder::from(&connect::config().build())
}
