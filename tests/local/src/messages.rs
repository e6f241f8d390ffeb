//! The delivery of the simulated Stripe account's messages to the webhook.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use lambda_http::tracing;
use shared::domain::Error;
use shared::lambda::Clock;
use stripe::{Event, Simulated, signature};
use tokio::sync::Mutex;
use tokio::time::interval;
use tower::ServiceExt;

use crate::payments::WEBHOOK_SECRET;

/// The time between two deliveries.
const DELIVER_EVERY: Duration = Duration::from_millis(200);

/// Attempts per message. Stripe tries for three days.
const ATTEMPTS_MAX: u32 = 5;

/// The messages of an account and their way to the webhook.
pub(crate) struct Messages {
    account: Simulated,
    webhook: Router,
    clock: Clock,
    waiting: Mutex<VecDeque<(Event, u32)>>,
}

impl Messages {
    /// The messages of `account`. `webhook` answers them.
    pub(crate) fn new(account: Simulated, webhook: Router, clock: Clock) -> Self {
        Self { account, webhook, clock, waiting: Mutex::default() }
    }

    /// Delivers all messages so far in order. A refused one is delivered again by a later call.
    pub(crate) async fn deliver(&self) {
        let mut waiting = self.waiting.lock().await;
        let events = {
            let mut account = self.account.account();
            // A page that expires by itself causes a message.
            account.advance(self.clock.now().timestamp().as_second());
            account.take_events()
        };
        waiting.extend(events.into_iter().map(|event| (event, 1)));
        let mut refused = VecDeque::new();
        while let Some((event, attempts)) = waiting.pop_front() {
            match self.post(&event).await {
                Ok(()) => {}
                Err(_) if attempts < ATTEMPTS_MAX => {
                    refused.push_back((event, attempts.saturating_add(1)));
                }
                Err(error) => tracing::error!(%error, id = event.id, "a message was given up"),
            }
        }
        *waiting = refused;
    }

    async fn post(&self, event: &Event) -> Result<(), Error> {
        let now = self.clock.now().timestamp().as_second();
        let request = Request::post("/webhooks/stripe")
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("stripe-signature", signature(&event.body, &[WEBHOOK_SECRET], now))
            .body(Body::from(event.body.clone()))
            .map_err(Error::internal)?;
        let answer = self.webhook.clone().oneshot(request).await.map_err(Error::internal)?;
        if answer.status().is_success() { Ok(()) } else { Err(Error::Busy) }
    }
}

/// Delivers messages as they come.
pub(crate) async fn deliver_in_background(messages: Arc<Messages>) {
    let mut ticks = interval(DELIVER_EVERY);
    loop {
        ticks.tick().await;
        messages.deliver().await;
    }
}
