//! The events for webhooks.

use serde_json::{Value, json};

use crate::Account;

/// The API version of all objects.
const API_VERSION: &str = "2024-06-20";

/// An event, as Stripe posts it to webhook endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The id, such as `evt_1`.
    pub id: String,
    /// The type, such as `payment_intent.succeeded`.
    pub kind: String,
    /// The time of the event in seconds since 1970.
    pub created: i64,
    /// The JSON that is posted.
    pub body: String,
}

impl Account {
    /// Returns the events since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Adds an event about an object as it is now.
    pub(crate) fn emit(&mut self, kind: &str, object: &Value, created: i64) {
        self.events_created = self.events_created.saturating_add(1);
        let id = format!("evt_{}", self.events_created);
        let event = json!({
            "id": id,
            "object": "event",
            "api_version": API_VERSION,
            "created": created,
            "type": kind,
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "data": { "object": object },
        });
        // Stripe posts indented JSON.
        let body = format!("{event:#}");
        self.events.push(Event { id, kind: kind.to_owned(), created, body });
    }
}
