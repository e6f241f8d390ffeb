//! One request to Stripe.

use std::env::var;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use form_urlencoded::Serializer;
use http_body_util::BodyExt;
use lambda_http::tracing;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::aws::connect::connector;
use shared::aws::retry::RetryBudget;
use shared::domain::Error;

use super::objects::Refusal;
use super::secret::{InvalidSecret, Secrets};

/// The version of the API whose objects the client reads. Stripe answers in this version whatever the version of the
/// account is.
pub const API_VERSION: &str = "2024-06-20";

/// A call is given up after this time, or at the deadline of the invocation. Its effect is then unknown.
const CALL_TIME_MAX: Duration = Duration::from_secs(8);

/// The URL of Stripe's API.
const API_URL: &str = "https://api.stripe.com";

/// Stripe's API, by one connection pool and one secret.
#[derive(Clone)]
pub struct Stripe {
    connector: SharedHttpConnector,
    secrets: Secrets,
    url: Arc<str>,
    /// The page of the product that customers return to.
    pub(super) return_url: Arc<str>,
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The answer to a request with valid credentials.
#[derive(Clone, Debug)]
pub enum Reply<T> {
    /// The request was accepted.
    Accepted(T),
    /// The request was refused and changed nothing, except for a declined payment.
    Refused(Box<Refusal>),
}

impl<T> Reply<T> {
    /// The reply with another accepted value.
    pub(crate) fn map<U>(self, value: impl FnOnce(T) -> U) -> Reply<U> {
        match self {
            Self::Accepted(accepted) => Reply::Accepted(value(accepted)),
            Self::Refused(refusal) => Reply::Refused(refusal),
        }
    }
}

/// The fields of a request: names with brackets, and values.
pub(super) type Fields<'a> = [(&'a str, &'a str)];

/// A request to Stripe. A GET has its fields in the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub method: &'static str,
    pub path: &'a str,
    pub fields: &'a Fields<'a>,
    /// The idempotency key of a POST.
    pub key: Option<&'a str>,
}

/// The parts of an answer that decide on its meaning.
struct Answer {
    status: u16,
    is_replay: bool,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Failure {
    error: Refusal,
}

impl Answer {
    /// Whether the idempotency key was used with other fields.
    fn refuses_key(&self) -> bool {
        let failure = || serde_json::from_slice::<Failure>(&self.body);
        self.status == 400
            && failure().is_ok_and(|failure| failure.error.kind == "idempotency_error")
    }
}

impl Stripe {
    /// A client by `connector` that reads its secret from `secrets`. Customers return from Stripe's pages to
    /// `return_url`.
    #[must_use]
    pub fn new(connector: SharedHttpConnector, secrets: Secrets, return_url: &str) -> Self {
        Self { connector, secrets, url: API_URL.into(), return_url: return_url.into() }
    }

    /// The client that the environment describes: `PAYMENT_RETURN_URL`, the secret of [`Secrets::from_env`], and
    /// `STRIPE_API_URL` for another server than Stripe's, such as a simulated one.
    ///
    /// # Errors
    /// Those of [`Secrets::from_env`].
    pub fn from_env() -> Result<Self, InvalidSecret> {
        let return_url = var("PAYMENT_RETURN_URL").unwrap_or_default();
        let stripe = Self::new(connector(), Secrets::from_env()?, &return_url);
        Ok(match var("STRIPE_API_URL") {
            Ok(url) => stripe.at(&url),
            Err(_) => stripe,
        })
    }

    /// The same client of another server, such as a simulated one.
    #[must_use]
    pub fn at(self, url: &str) -> Self {
        Self { url: url.trim_end_matches('/').into(), ..self }
    }

    /// Checks that a Stripe account is connected.
    ///
    /// # Errors
    /// [`Error::PaymentFailed`].
    pub fn check_connected(&self) -> Result<(), Error> {
        self.secrets.check_connected()
    }

    /// The secrets of the webhook; none if no Stripe account is connected.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub async fn webhook_secrets(&self) -> Result<Vec<String>, Error> {
        match self.secrets.read(&self.connector).await {
            Ok(secret) => Ok(secret.webhook_secrets.clone()),
            Err(Error::PaymentFailed(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Sends a request. A POST is sent a second time, under another idempotency key, if Stripe repeats a stored
    /// internal error, which it does for a day, or if the key was used with other fields. That takes no money twice:
    /// a created payment takes none, and a payment can be confirmed only once.
    ///
    /// # Errors
    /// [`Error::Busy`] if the call failed or its result is unknown; [`Error::PaymentFailed`] if no provider is connected;
    /// [`Error::Internal`] if Stripe does not accept the credentials or the answer has another shape.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<Reply<T>, Error> {
        let answer = self.answered(call).await?;
        let is_stored_error = answer.is_replay && answer.status >= 500;
        if let Some(key) = call.key
            && (is_stored_error || answer.refuses_key())
        {
            let key = format!("{key}-{:016x}", fastrand::u64(..));
            return read(call, &self.answered(Call { key: Some(&key), ..call }).await?);
        }
        read(call, &answer)
    }

    /// The answer to a request. If the secret is not accepted, it is read anew, because it may have been rotated.
    async fn answered(&self, call: Call<'_>) -> Result<Answer, Error> {
        let secret = self.secrets.read(&self.connector).await?;
        let answer = self.call(call, &secret.api_key).await?;
        if !matches!(answer.status, 401 | 403) {
            return Ok(answer);
        }
        self.secrets.forget(&secret).await;
        let renewed = self.secrets.read(&self.connector).await?;
        if renewed == secret { Ok(answer) } else { self.call(call, &renewed.api_key).await }
    }

    async fn call(&self, call: Call<'_>, api_key: &str) -> Result<Answer, Error> {
        let Call { method, path, fields, key } = call;
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let is_get = method == "GET";
        let query = if is_get && !form.is_empty() { format!("?{form}") } else { String::new() };
        let mut request = HttpRequest::new(if is_get { SdkBody::empty() } else { form.into() });
        request.set_method(method).map_err(Error::internal)?;
        request.set_uri(format!("{}{path}{query}", self.url)).map_err(Error::internal)?;
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {api_key}"));
        headers.insert("stripe-version", API_VERSION);
        if !is_get {
            headers.insert("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(key) = key {
            headers.insert("idempotency-key", key.to_owned());
        }
        exchange(&self.connector, request).await
    }
}

/// Sends one HTTP request and reads the whole answer. It is sent a second time if the connection breaks: the server may
/// have closed it while the function was frozen. The idempotency key of the request is the same.
async fn exchange(connector: &SharedHttpConnector, request: HttpRequest) -> Result<Answer, Error> {
    let budget = RetryBudget::lasting(CALL_TIME_MAX);
    let again = request.try_clone();
    match (budget.timeout(exchange_once(connector, request)).await?, again) {
        (Err(_), Some(again)) => budget.timeout(exchange_once(connector, again)).await?,
        (first, _) => first,
    }
    .map_err(|error| {
        tracing::warn!(error = &*error as &dyn std::error::Error, "the connection broke");
        Error::Busy
    })
}

async fn exchange_once(
    connector: &SharedHttpConnector,
    request: HttpRequest,
) -> Result<Answer, BoxError> {
    let response: HttpResponse = connector.call(request).await?;
    let status = response.status().as_u16();
    let is_replay = response.headers().get("idempotent-replayed") == Some("true");
    let body = response.into_body().collect().await?;
    Ok(Answer { status, is_replay, body: body.to_bytes().to_vec() })
}

/// The body of a successful GET of another service, such as the secrets extension.
pub(super) async fn get(
    connector: &SharedHttpConnector,
    request: HttpRequest,
) -> Result<Vec<u8>, Error> {
    let Answer { status, body, .. } = exchange(connector, request).await?;
    if status == 200 { Ok(body) } else { Err(Error::internal(format!("it answered {status}"))) }
}

fn read<T: DeserializeOwned>(call: Call<'_>, answer: &Answer) -> Result<Reply<T>, Error> {
    let Call { method, path, .. } = call;
    match answer.status {
        200..300 => serde_json::from_slice(&answer.body).map(Reply::Accepted).map_err(|error| {
            Error::internal(format!(
                "Stripe's answer to {method} {path} is not as expected: {error}"
            ))
        }),
        // Another request uses the object or the key, or there are too many requests.
        409 | 429 | 500.. => {
            tracing::warn!(status = answer.status, method, path, "Stripe is busy");
            Err(Error::Busy)
        }
        401 => Err(Error::internal(format!("Stripe refused the key for {method} {path}"))),
        // The message names a permission that the key lacks.
        403 => {
            let failure = serde_json::from_slice::<Failure>(&answer.body);
            let message = failure.map(|failure| failure.error.message).unwrap_or_default();
            Err(Error::internal(format!("Stripe refused {method} {path}: {message}")))
        }
        _ => {
            let Failure { error } =
                serde_json::from_slice(&answer.body).map_err(Error::internal)?;
            Ok(Reply::Refused(Box::new(error)))
        }
    }
}
