//! The delivery of Stripe's messages: late, several times, in any order, also at once.

use std::cell::RefCell;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use simulator::World;
use stripe::{Event, Simulated, signature};
use tokio::time::sleep;
use tower::ServiceExt;

use super::payments::process;
use super::process::run_for_polls;

/// The messages that were not accepted yet.
#[derive(Debug, Default)]
pub struct Courier {
    waiting: RefCell<Vec<Event>>,
}

impl Courier {
    /// Delivers messages for some time. An attempt may be stopped.
    pub async fn deliver_for(&self, world: &World, stripe: &Simulated, time: Duration) {
        let mut elapsed = Duration::ZERO;
        while elapsed < time {
            let wait = Duration::from_secs(fastrand::u64(1..5_000));
            elapsed += wait;
            sleep(wait).await;
            let mut events = self.take(stripe);
            fastrand::shuffle(&mut events);
            for event in events {
                let copies = [1, 1, 2, 10][fastrand::usize(0..4)];
                let attempts = (0..copies).map(|_| post(world, stripe, &event, true));
                let accepted = join_all(attempts).await;
                // A message may come again after it was accepted.
                if accepted.iter().all(|is_accepted| !is_accepted) || fastrand::u8(0..5) == 0 {
                    self.waiting.borrow_mut().push(event);
                }
            }
        }
    }

    /// Delivers all messages.
    pub async fn deliver_rest(&self, world: &World, stripe: &Simulated) {
        for event in self.take(stripe) {
            assert!(post(world, stripe, &event, false).await, "{event:?}");
        }
    }

    fn take(&self, stripe: &Simulated) -> Vec<Event> {
        let mut events = std::mem::take(&mut *self.waiting.borrow_mut());
        events.extend(stripe.account().take_events());
        events
    }
}

/// Posts a message to a new process. Returns whether it was accepted.
async fn post(world: &World, stripe: &Simulated, event: &Event, may_stop: bool) -> bool {
    let now = world.now().timestamp().as_second();
    let request = Request::post("/webhooks/stripe")
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", signature(&event.body, &["whsec_0", "whsec_1"], now))
        .body(Body::from(event.body.clone()))
        .unwrap();
    let router = purchase::routes(process(world, stripe));
    let stops = may_stop && fastrand::u8(0..4) == 0;
    let polls = if stops { fastrand::u32(1..60) } else { u32::MAX };
    let answer = run_for_polls(polls, Box::pin(router.oneshot(request))).await;
    answer.is_some_and(|answer| answer.unwrap().status().is_success())
}
