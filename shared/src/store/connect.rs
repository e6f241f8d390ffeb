//! The table of a function.

use std::env::var;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;

use super::Store;
use crate::aws::connect::{self, Missing, from_env, need};

impl Store {
    /// The table named by `TABLE_NAME`, with the region and the credentials that Lambda gives.
    /// `AWS_ENDPOINT_URL_DYNAMODB` names another endpoint, such as the local stack's.
    ///
    /// # Errors
    /// [`Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        let mut config = Builder::from(&from_env()?);
        config.set_endpoint_url(var("AWS_ENDPOINT_URL_DYNAMODB").ok());
        Ok(Self::new(Client::from_conf(config.build()), &need("TABLE_NAME")?))
    }
}

/// What every client of the table has in common: its HTTP stack and its limits.
#[must_use]
pub fn config() -> Builder {
    Builder::from(&connect::config().build())
}
