//! The secret of the Stripe account: the API key and the secrets of the webhook.
//!
//! It is read when it is first needed, through the secrets extension of Lambda, and read anew after some minutes, so
//! that a rotation needs no deployment.

use std::env::var;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use form_urlencoded::Serializer;
use lambda_http::tracing;
use serde::Deserialize;
use shared::domain::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::request::get;

/// A secret is read again after this time.
const SECRET_FRESH_FOR: Duration = Duration::from_mins(5);

/// The URL of the secrets extension of Lambda.
const EXTENSION_URL: &str = "http://localhost:2773";

/// The secret of a Stripe account. It has no debug output.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The key of the API, `sk_…` or `rk_…`.
    pub api_key: String,
    /// The secrets of the webhook, `whsec_…`: two during a rotation.
    #[serde(default)]
    pub webhook_secrets: Vec<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The variable `STRIPE_SECRET` is not the JSON that is documented. The error contains no part of it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("STRIPE_SECRET must be {{\"api_key\": …, \"webhook_secrets\": […]}}")]
pub struct InvalidSecret;

/// The source of the secret.
#[derive(Clone, Debug)]
pub enum Secrets {
    /// No Stripe account is connected.
    None,
    /// A fixed secret, for the local stack and tests.
    Fixed(Arc<Secret>),
    /// The secrets extension of Lambda.
    Extension(Arc<Extension>),
}

/// A secret of Secrets Manager, or a parameter of Systems Manager, by the secrets extension.
pub struct Extension {
    path: String,
    session_token: String,
    cached: Mutex<Option<(Instant, Arc<Secret>)>>,
}

impl fmt::Debug for Extension {
    /// Leaves out the session token, which is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension").field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    secret_string: Option<String>,
    parameter: Option<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    value: String,
}

impl Secrets {
    /// The source that the environment names: `STRIPE_SECRET_ID` is the name or ARN of a secret, or the name of a
    /// parameter, which begins with `/`. `STRIPE_SECRET` is the secret itself, for local use.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn from_env() -> Result<Self, InvalidSecret> {
        let set = |name| var(name).ok().filter(|value| !value.is_empty());
        if let Some(id) = set("STRIPE_SECRET_ID") {
            return Ok(Self::extension(&id, var("AWS_SESSION_TOKEN").unwrap_or_default()));
        }
        Ok(match set("STRIPE_SECRET") {
            Some(secret) => {
                let secret = serde_json::from_str(&secret).map_err(|_| InvalidSecret)?;
                Self::Fixed(Arc::new(secret))
            }
            None => Self::None,
        })
    }

    /// The secret with this name or ARN, or the parameter with this name, which begins with `/`. The extension answers
    /// requests with the session token of the function.
    #[must_use]
    pub fn extension(id: &str, session_token: String) -> Self {
        Self::Extension(Arc::new(Extension::new(id, session_token)))
    }

    /// Checks that a Stripe account is connected.
    ///
    /// # Errors
    /// [`Error::PaymentFailed`].
    pub(super) fn check_connected(&self) -> Result<(), Error> {
        match self {
            Self::None => Err(not_connected()),
            Self::Fixed(_) | Self::Extension(_) => Ok(()),
        }
    }

    /// The secret.
    ///
    /// # Errors
    /// [`Error::PaymentFailed`] without one; [`Error::Busy`], [`Error::Internal`] if it cannot be read.
    pub(super) async fn read(&self, connector: &SharedHttpConnector) -> Result<Arc<Secret>, Error> {
        match self {
            Self::None => Err(not_connected()),
            Self::Fixed(secret) => Ok(Arc::clone(secret)),
            Self::Extension(extension) => extension.read(connector).await,
        }
    }

    /// Drops a cached secret that was not accepted.
    pub(super) async fn forget(&self, secret: &Arc<Secret>) {
        if let Self::Extension(extension) = self {
            let mut cached = extension.cached.lock().await;
            if cached.as_ref().is_some_and(|(_, known)| known == secret) {
                *cached = None;
            }
        }
    }
}

fn not_connected() -> Error {
    Error::PaymentFailed("no payment provider is connected".to_owned())
}

impl Extension {
    fn new(id: &str, session_token: String) -> Self {
        let query = |name| Serializer::new(String::new()).append_pair(name, id).finish();
        let path = if id.starts_with('/') {
            format!("/systemsmanager/parameters/get?withDecryption=true&{}", query("name"))
        } else {
            format!("/secretsmanager/get?{}", query("secretId"))
        };
        Self { path, session_token, cached: Mutex::default() }
    }

    async fn read(&self, connector: &SharedHttpConnector) -> Result<Arc<Secret>, Error> {
        let mut cached = self.cached.lock().await;
        if let Some((read_at, secret)) = &*cached
            && read_at.elapsed() < SECRET_FRESH_FOR
        {
            return Ok(Arc::clone(secret));
        }
        let mut request =
            HttpRequest::get(format!("{EXTENSION_URL}{}", self.path)).map_err(Error::internal)?;
        let token = self.session_token.clone();
        request.headers_mut().insert("x-aws-parameters-secrets-token", token);
        let read = get(connector, request).await.map_err(|error| {
            Error::internal(format!("the secrets extension did not answer: {error}"))
        });
        let secret = match (read.and_then(|answer| parsed(&answer)), &*cached) {
            (Ok(secret), _) => Arc::new(secret),
            // An outage of the extension does not stop payments.
            (Err(error), Some((_, known))) => {
                tracing::error!(%error, "the secret was not read again");
                Arc::clone(known)
            }
            (Err(error), None) => return Err(error),
        };
        *cached = Some((Instant::now(), Arc::clone(&secret)));
        Ok(secret)
    }
}

/// The secret in an answer of the extension. Its errors contain no part of the answer.
fn parsed(answer: &[u8]) -> Result<Secret, Error> {
    let invalid = || Error::internal("the secret of Stripe is not the JSON that is documented");
    let Stored { secret_string, parameter } =
        serde_json::from_slice(answer).map_err(|_| invalid())?;
    let text = secret_string.or(parameter.map(|parameter| parameter.value)).ok_or_else(invalid)?;
    let secret: Secret = serde_json::from_str(&text).map_err(|_| invalid())?;
    // White space would be an invalid header, or refuse every message.
    let keys = || secret.webhook_secrets.iter().chain([&secret.api_key]);
    let is_valid = keys().all(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    if is_valid { Ok(secret) } else { Err(invalid()) }
}
