//! A simulated Stripe account for tests and for the local stack. It answers requests of Stripe's HTTP
//! API with objects of Stripe's shape, and no money moves.
//!
//! [`Account`] is a state machine without I/O and without a clock: the same calls give the same ids,
//! answers and events. [`Simulated`] connects an HTTP client to it, with latency and faults.
//!
//! These rules of Stripe are simulated:
//! - An answer is stored under its idempotency key for 24 hours, a decline and a server error included.
//!   Refused parameters, unknown ids and locks are not stored.
//! - A parameter that the simulation does not know is refused.
//! - A declined intent returns to `requires_payment_method` without a payment method, and its latest
//!   charge is the failed one.
//! - A Checkout session has no intent before a card is submitted. Its intent cannot be confirmed or
//!   canceled by a request; the session can be expired.
//! - A session expires between 30 minutes and 24 hours after its creation.
//! - An intent that is being processed cannot be canceled.
//!
//! Not simulated: payment methods other than cards, manual capture, several accounts, rate limits, and
//! the delivery of events: [`Account::take_events`] returns them in order and once.

mod attempt;
mod card;
mod charge;
mod checkout;
mod connector;
mod customer;
mod dashboard;
mod event;
mod faults;
mod form;
mod http;
mod idempotency;
mod intent;
mod intent_requests;
mod numbered;
mod page;
mod page_acts;
mod page_state;
mod portal;
mod refusal;
mod route;
mod session;
mod setup;
mod signature;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use connector::Simulated;
pub use event::Event;
pub use faults::Faults;
pub use http::{Answer, Request};
pub use intent::{Intent, IntentStatus};
pub use page::{amount, document, escaped, html};
pub use page_acts::Outcome;
pub use page_state::{Page, PageKind, PageStatus};
pub use signature::signature;

use charge::Charge;
use customer::{Customer, PaymentMethod};
use dashboard::{Dispute, Refund};
use idempotency::StoredAnswers;
use numbered::Numbered;
use portal::Portal;
use refusal::Refusal;
use session::Session;

/// The part of a request that is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Execution {
    Whole,
    /// The server fails before the request has an effect.
    FailsBefore,
    /// The server fails after the request has its effect.
    FailsAfter,
}

/// A simulated Stripe account.
#[derive(Debug)]
pub struct Account {
    pages: String,
    customers: Numbered<Customer>,
    methods: Numbered<PaymentMethod>,
    intents: Numbered<Intent>,
    charges: Numbered<Charge>,
    sessions: Numbered<Session>,
    portals: Numbered<Portal>,
    refunds: Numbered<Refund>,
    disputes: Numbered<Dispute>,
    events: Vec<Event>,
    events_created: u64,
    answers: StoredAnswers,
    intents_process: bool,
    declines: fn(u64) -> bool,
}

impl Account {
    /// Returns an account without objects. `pages` is the URL prefix of the payment pages, such as
    /// `http://127.0.0.1:3000/dev/pay`. The page of an object is `{pages}/{id}`.
    #[must_use]
    pub fn new(pages: &str) -> Self {
        Self {
            pages: pages.trim_end_matches('/').to_owned(),
            customers: Numbered::new("cus_"),
            methods: Numbered::new("pm_"),
            intents: Numbered::new("pi_"),
            charges: Numbered::new("ch_"),
            sessions: Numbered::new("cs_test_"),
            portals: Numbered::new("bps_"),
            refunds: Numbered::new("re_"),
            disputes: Numbered::new("dp_"),
            events: Vec::new(),
            events_created: 0,
            answers: StoredAnswers::default(),
            intents_process: false,
            declines: |credits| credits == 402,
        }
    }

    /// The same account with ids from `first` on. It does not know the objects of an earlier one, whose customers it
    /// answers as deleted.
    #[must_use]
    pub fn numbered_from(self, first: usize) -> Self {
        Self {
            customers: self.customers.from(first),
            methods: self.methods.from(first),
            intents: self.intents.from(first),
            charges: self.charges.from(first),
            sessions: self.sessions.from(first),
            refunds: self.refunds.from(first),
            disputes: self.disputes.from(first),
            ..self
        }
    }

    /// The same account; a stored card is declined for these amounts of `metadata[credits]`, in place of 402.
    #[must_use]
    pub fn declining(self, declines: fn(u64) -> bool) -> Self {
        Self { declines, ..self }
    }

    /// Declines no stored card from now on.
    pub fn accept_all(&mut self) {
        self.declines = |_| false;
    }

    /// Answers a request. `now` is in seconds since 1970.
    pub fn answer(&mut self, request: &Request, now: i64) -> Answer {
        self.execute(request, now, Execution::Whole)
    }

    /// Answers a request with a server error. The request has no effect, and the error is stored under
    /// its idempotency key. A stored answer is replayed.
    pub fn fail_before(&mut self, request: &Request, now: i64) -> Answer {
        self.execute(request, now, Execution::FailsBefore)
    }

    /// Answers a request with a server error. The request has its effect, and the error is stored
    /// under its idempotency key. A stored answer is replayed, and a refused request is refused.
    pub fn fail_after(&mut self, request: &Request, now: i64) -> Answer {
        self.execute(request, now, Execution::FailsAfter)
    }

    /// Expires the sessions whose time is over. All calls with a time do this first.
    pub fn advance(&mut self, now: i64) {
        self.answers.prune(now);
        self.expire_due(now);
    }

    /// All payment intents, in the order of their creation.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.intents.iter()
    }

    fn execute(&mut self, request: &Request, now: i64, execution: Execution) -> Answer {
        self.advance(now);
        let before = request.authorize().and_then(|()| self.answers.find(request));
        match before {
            Ok(None) => (),
            Ok(Some(stored)) => return stored,
            Err(refusal) => return Err(refusal).into(),
        }
        let result = match execution {
            Execution::FailsBefore => Err(Refusal::server()),
            Execution::Whole => self.route(request, now),
            Execution::FailsAfter => match self.route(request, now) {
                Err(refusal) if !refusal.is_result => Err(refusal),
                Ok(_) | Err(_) => Err(Refusal::server()),
            },
        };
        let is_stored = result.as_ref().map_or_else(|refusal| refusal.is_result, |_| true);
        let answer = Answer::from(result);
        if is_stored {
            self.answers.store(request, &answer, now);
        }
        answer
    }

    /// The URL of the page of an object.
    fn page_url(&self, id: &str) -> String {
        format!("{}/{id}", self.pages)
    }
}
