//! The configuration of the SDK's clients.
//!
//! Region and credentials come from Lambda's environment variables only. A chain of credential providers
//! and a slower TLS stack would dominate a cold start.

use std::env::{VarError, var};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::region::Region;
use aws_types::sdk_config::{Builder, SdkConfig};

/// The longest that a call takes. The SDK has no limit of its own.
const CALL_TIME_MAX: Duration = Duration::from_secs(2);

/// A required environment variable is missing.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} is required: {source}")]
pub struct Missing {
    name: &'static str,
    source: VarError,
}

/// The configuration of every client: the HTTP stack, the time limit, and no retries. The SDK makes one
/// attempt per call; [`RetryBudget`](super::retry::RetryBudget) is the only layer that retries.
#[must_use]
pub fn config() -> Builder {
    let timeouts = TimeoutConfig::builder().operation_timeout(CALL_TIME_MAX).build();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
}

/// A connection to an HTTPS service that is not AWS, by the HTTP stack of the SDK. A call has no time limit of its own.
#[must_use]
pub fn connector() -> SharedHttpConnector {
    let tls = Provider::Rustls(CryptoMode::Ring);
    SharedHttpConnector::new(Connector::builder().tls_provider(tls).build())
}

/// [`config`] with the region and the credentials from Lambda's environment variables.
///
/// # Errors
/// [`Missing`] for a variable that is not set.
pub fn from_env() -> Result<SdkConfig, Missing> {
    // Environments restored from one snapshot need different pauses and lane names.
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

/// The value of an environment variable.
///
/// # Errors
/// [`Missing`].
pub fn need(name: &'static str) -> Result<String, Missing> {
    var(name).map_err(|source| Missing { name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disables_the_retries_of_the_sdk() {
        let config = config().build();
        assert_eq!(config.retry_config().map(RetryConfig::max_attempts), Some(1));
    }
}
