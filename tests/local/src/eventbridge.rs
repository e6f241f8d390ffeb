//! A stand-in for EventBridge: it accepts `PutEvents` from the SDK and keeps the events in the form in
//! which a rule delivers them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_credential_types::Credentials;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::config::{Region, SharedCredentialsProvider};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::bus::{self, Bus};
use shared::domain::event::SOURCE;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::Failure;

/// The name of the bus.
const BUS: &str = "credits";

/// The entries of one `PutEvents`.
const ENTRIES_MAX: usize = 10;

/// A running stand-in. It stops when it is dropped.
#[derive(Debug)]
pub struct EventBridge {
    endpoint: String,
    delivered: Delivered,
    _stop: oneshot::Sender<()>,
}

impl EventBridge {
    /// Starts the stand-in on a port; 0 picks a free one.
    pub(crate) async fn start(port: u16) -> Result<Self, Failure> {
        let failure = |source| Failure::Port { port, option: "--eventbridge-port", source };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failure)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failure)?);
        let delivered = Delivered::default();
        let router = Router::new().route("/", post(answer)).with_state(delivered.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
            // The error of a dropped sender stops the server too.
            let _ = stopped.await;
        });
        tokio::spawn(async move {
            // `axum::serve` never returns an error.
            let _ = serving.await;
        });
        Ok(Self { endpoint, delivered, _stop: stop })
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn delivered(&self) -> Delivered {
        self.delivered.clone()
    }

    /// Returns the delivered events of a source, in order.
    #[must_use]
    pub fn delivered_from(&self, source: &str) -> Vec<Value> {
        let delivered = self.delivered.after(0).into_iter();
        delivered.filter(|event| event["source"] == source).collect()
    }

    /// Returns a client of the bus, on the SDK.
    #[must_use]
    pub fn bus(&self) -> Bus {
        let credentials = Credentials::new("local", "local", None, None, "local");
        let config = bus::config()
            .endpoint_url(&self.endpoint)
            .region(Region::new(engine::REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials));
        Bus::new(Client::from_conf(config.build()), BUS)
    }
}

/// The delivered events, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered(Arc<Mutex<Vec<Value>>>);

impl Delivered {
    /// Returns the events of any source after the first `count`.
    pub(crate) fn after(&self, count: usize) -> Vec<Value> {
        let delivered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.iter().skip(count).cloned().collect()
    }

    /// Returns the events for other systems after a position. The first event is at position 1.
    pub(crate) fn events_after(&self, position: usize) -> Vec<Value> {
        let delivered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let events = delivered.iter().filter(|event| event["source"] == SOURCE);
        let placed = |(position, event): (usize, &Value)| {
            let mut event = event.clone();
            if let Some(fields) = event.as_object_mut() {
                fields.insert("position".to_owned(), json!(position));
            }
            event
        };
        (1..).zip(events).skip(position).map(placed).collect()
    }

    /// Delivers an event, unless it is for another bus. Returns its id.
    fn add(&self, entry: &Entry, detail: &Value) -> String {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = events.len().saturating_add(1);
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        if entry.event_bus_name == BUS {
            events.push(json!({
                "version": "0",
                "id": id,
                "detail-type": entry.detail_type,
                "source": entry.source,
                "account": "000000000000",
                "time": format!("{:.0}", entry.time().unwrap_or_else(Timestamp::now)),
                "region": engine::REGION,
                "resources": [],
                "detail": detail,
            }));
        }
        id
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_bus_name: String,
    source: String,
    detail_type: String,
    detail: String,
    /// Seconds since 1970.
    time: Option<f64>,
}

impl Entry {
    fn time(&self) -> Option<Timestamp> {
        let since_1970 = SignedDuration::try_from_secs_f64(self.time?).ok()?;
        Timestamp::from_duration(since_1970).ok()
    }
}

async fn answer(State(delivered): State<Delivered>, headers: HeaderMap, body: String) -> Response {
    if headers.get("x-amz-target").is_none_or(|target| target != "AWSEvents.PutEvents") {
        return refusal("UnknownOperationException", "the stand-in supports PutEvents only");
    }
    match serde_json::from_str(&body) {
        Ok(PutEvents { entries }) if entries.len() > ENTRIES_MAX => {
            refusal("ValidationException", "there are more than 10 entries")
        }
        Ok(PutEvents { entries }) => put_events(&delivered, entries).into_response(),
        Err(error) => refusal("SerializationException", &error.to_string()),
    }
}

fn refusal(kind: &str, message: &str) -> Response {
    let body = json!({ "__type": kind, "message": message });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn put_events(delivered: &Delivered, entries: Vec<Entry>) -> Json<Value> {
    let mut failed = 0_u32;
    let results: Vec<Value> = entries
        .into_iter()
        .map(|entry| match serde_json::from_str::<Value>(&entry.detail) {
            Ok(detail) if detail.is_object() => {
                json!({ "EventId": delivered.add(&entry, &detail) })
            }
            Ok(_) | Err(_) => {
                failed = failed.saturating_add(1);
                json!({ "ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed." })
            }
        })
        .collect();
    Json(json!({ "FailedEntryCount": failed, "Entries": results }))
}
