//! The SDK client of a function.
//!
//! It takes what Lambda puts into the environment and nothing else: no provider chain, and a TLS
//! stack that starts fast. Both are most of a cold start.

use std::env::{VarError, var};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Config, Region};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::Store;

/// No single try of a call takes longer; the SDK itself has no limit.
const ATTEMPT: Duration = Duration::from_secs(2);

/// A call with all the SDK's own retries takes no longer.
const OPERATION: Duration = Duration::from_secs(5);

/// An environment variable that a function needs is missing.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} is needed: {source}")]
pub struct Missing {
    name: &'static str,
    source: VarError,
}

impl Store {
    /// The table named by `TABLE_NAME`, with the region and the credentials that Lambda gives.
    /// `AWS_ENDPOINT_URL_DYNAMODB` names another endpoint, such as the local stack's.
    ///
    /// # Errors
    /// [`Missing`] for a variable that is not set.
    pub fn from_env() -> Result<Self, Missing> {
        // Environments that begin alike must neither wait alike nor name their lanes alike.
        fastrand::seed(RandomState::new().hash_one(()));
        let mut config =
            config().region(Region::new(need("AWS_REGION")?)).credentials_provider(credentials()?);
        config.set_endpoint_url(var("AWS_ENDPOINT_URL_DYNAMODB").ok());
        Ok(Self::new(Client::from_conf(config.build()), &need("TABLE_NAME")?))
    }
}

/// What every client of ours has in common: its HTTP stack and its limits.
#[must_use]
pub fn config() -> Builder {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
}

fn credentials() -> Result<Credentials, Missing> {
    let id = need("AWS_ACCESS_KEY_ID")?;
    let secret = need("AWS_SECRET_ACCESS_KEY")?;
    let token = var("AWS_SESSION_TOKEN").ok();
    Ok(Credentials::new(id, secret, token, None, "Lambda"))
}

fn need(name: &'static str) -> Result<String, Missing> {
    var(name).map_err(|source| Missing { name, source })
}
