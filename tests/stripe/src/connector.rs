//! The connection of an HTTP client to a simulated account.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use tokio::time::sleep;

use crate::Account;
use crate::faults::{Fault, Faults};
use crate::http::{Answer, Request};
use crate::refusal::Refusal;

/// The time in seconds since 1970.
#[derive(Clone)]
struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&(self.0)()).finish()
    }
}

/// A connection to a simulated account. The faults come from the thread's generator of `fastrand`, and
/// the latency from the clock of tokio.
#[derive(Clone, Debug)]
pub struct Simulated {
    account: Arc<Mutex<Account>>,
    clock: Clock,
    faults: Arc<Mutex<Faults>>,
    requests: Arc<AtomicU64>,
}

impl Simulated {
    /// Returns a connection without faults. `clock` returns the seconds since 1970.
    pub fn new(account: Account, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self {
            account: Arc::new(Mutex::new(account)),
            clock: Clock(Arc::new(clock)),
            faults: Arc::new(Mutex::new(Faults::NONE)),
            requests: Arc::default(),
        }
    }

    /// Sets the faults of all later requests.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// The account. No request is answered while the guard is held.
    pub fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connector for HTTP clients. It requires a runtime of tokio.
    #[must_use]
    pub fn connector(&self) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    /// Answers a request without latency and without a fault.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Answer {
        let now = self.now();
        self.account().answer(request, now)
    }

    fn now(&self) -> i64 {
        (self.clock.0)()
    }

    /// Answers a request. Returns `None` if the request or the answer is lost.
    async fn serve(self, request: Request) -> Option<Answer> {
        let faults = *self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = faults.draw();
        delay(faults.latency_ms_max).await;
        let answer = self.execute(&request, fault);
        delay(faults.latency_ms_max).await;
        answer
    }

    fn execute(&self, request: &Request, fault: Fault) -> Option<Answer> {
        let now = self.now();
        let mut account = self.account();
        match fault {
            Fault::LostRequest => None,
            Fault::LostAnswer => {
                account.answer(request, now);
                None
            }
            Fault::ErrorBefore => Some(account.fail_before(request, now)),
            Fault::ErrorAfter => Some(account.fail_after(request, now)),
            Fault::Busy => Some(Err(Refusal::locked()).into()),
            Fault::Spared => Some(account.answer(request, now)),
        }
    }
}

impl HttpConnector for Simulated {
    /// A request that was sent is executed even if its sender no longer waits.
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let number = self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let served = tokio::spawn(self.clone().serve(received(&request)));
        HttpConnectorFuture::new(async move {
            match served.await {
                Ok(Some(answer)) => response(&answer, number),
                Ok(None) if fastrand::bool() => {
                    Err(ConnectorError::io("the connection broke".into()))
                }
                Ok(None) => Err(ConnectorError::timeout("the time for an answer is over".into())),
                Err(error) => Err(ConnectorError::other(error.into(), None)),
            }
        })
    }
}

async fn delay(max_ms: u64) {
    if max_ms > 0 {
        sleep(Duration::from_millis(fastrand::u64(0..=max_ms))).await;
    }
}

/// Reads a request as it arrives.
fn received(request: &HttpRequest) -> Request {
    let uri = request.uri();
    let after_scheme = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let path = after_scheme.find('/').and_then(|start| after_scheme.get(start..));
    let (path, query) =
        path.unwrap_or_default().split_once('?').unwrap_or((path.unwrap_or("/"), ""));
    let body = request.body().bytes().unwrap_or_default();
    let fields = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
    let headers = request.headers();
    let secret_key = headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    Request {
        method: request.method().to_owned(),
        path: path.to_owned(),
        fields: fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        idempotency_key: headers.get("idempotency-key").map(str::to_owned),
        secret_key: secret_key.map(str::to_owned),
    }
}

fn response(answer: &Answer, number: u64) -> Result<HttpResponse, ConnectorError> {
    let status =
        answer.status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body.to_string()));
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json");
    headers.insert("request-id", format!("req_{number}"));
    if answer.is_replay {
        headers.insert("idempotent-replayed", "true");
    }
    Ok(response)
}
