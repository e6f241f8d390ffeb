//! How the SDK's clients are made.
//!
//! They take what Lambda puts into the environment and nothing else: no provider chain, and a TLS
//! stack that starts fast. Both are most of a cold start.

use std::env::{VarError, var};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{Builder, SdkConfig};

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
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
}

/// The same with the region and the credentials that Lambda gives.
///
/// # Errors
/// [`Missing`] for a variable that is not set.
pub fn from_env() -> Result<SdkConfig, Missing> {
    // Environments that begin alike must neither wait alike nor name their lanes alike.
    fastrand::seed(RandomState::new().hash_one(()));
    let region = Region::new(need("AWS_REGION")?);
    let credentials = SharedCredentialsProvider::new(credentials()?);
    Ok(config().region(region).credentials_provider(credentials).build())
}

fn credentials() -> Result<Credentials, Missing> {
    let id = need("AWS_ACCESS_KEY_ID")?;
    let secret = need("AWS_SECRET_ACCESS_KEY")?;
    let token = var("AWS_SESSION_TOKEN").ok();
    Ok(Credentials::new(id, secret, token, None, "Lambda"))
}

/// An environment variable.
///
/// # Errors
/// [`Missing`].
pub fn need(name: &'static str) -> Result<String, Missing> {
    var(name).map_err(|source| Missing { name, source })
}
