//! The acts of the customer on a page.

use serde_json::Value;

use crate::Account;
use crate::attempt::{AUTHENTICATION_FAILED_MESSAGE, Presence};
use crate::card::{INCORRECT_NUMBER, find};
use crate::intent::{Intent, IntentStatus};
use crate::page_state::PageStatus;
use crate::session::Mode;

/// The result of an act of the customer on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The browser goes to the URL. `{CHECKOUT_SESSION_ID}` is replaced.
    Redirect(String),
    /// The customer has to take a step on the page with the id.
    Authenticate(String),
    /// The message is shown on the page. The customer may try another card if the page is open.
    Declined(String),
    /// There is no page with the id.
    Unknown,
}

impl Account {
    /// The customer enters a card on the page of a Checkout session or of the portal.
    pub fn pay(&mut self, id: &str, card_number: &str, now: i64) -> Outcome {
        self.advance(now);
        if let Some(refused) = self.closed(id) {
            return refused;
        }
        let session = self.sessions.get(id).cloned();
        if session.is_none() && self.portals.get(id).is_none() {
            return Outcome::Unknown;
        }
        let Some(card) = find(card_number) else {
            return Outcome::Declined(INCORRECT_NUMBER.message.to_owned());
        };
        let Some(session) = session.filter(|session| session.new.mode == Mode::Payment) else {
            return self.set_up(id, card, now);
        };
        let intent = self.intent_of_session(&session, now);
        let method = self.add_method(card, now);
        let presence = Presence::Present(Some(self.page_url(id)));
        match self.pay_intent(&intent, &method, presence, now) {
            Err(error) => {
                let message = error.get("message").and_then(Value::as_str);
                Outcome::Declined(message.unwrap_or_default().to_owned())
            }
            Ok(()) => match self.sessions.get(id).map(|session| session.status) {
                Some(PageStatus::Open) => Outcome::Authenticate(intent),
                _ => Outcome::Redirect(session.success_url()),
            },
        }
    }

    /// The customer accepts or refuses the 3-D Secure step of an intent or of a session.
    pub fn authenticate(&mut self, id: &str, accepts: bool, now: i64) -> Outcome {
        self.advance(now);
        if let Some(refused) = self.closed(id) {
            return refused;
        }
        let of_session = self.sessions.get(id).and_then(|session| session.intent.clone());
        let id = of_session.unwrap_or_else(|| id.to_owned());
        let Some(intent) = self.intents.get(&id) else {
            return self.end_setup_step(&id, accepts, now);
        };
        if intent.status != IntentStatus::RequiresAction {
            return Outcome::Declined("This step is over.".to_owned());
        }
        let is_of_session = intent.session.is_some();
        if accepts {
            self.request_money(&id, now);
        } else {
            self.fail_step(&id, now);
            if is_of_session {
                return Outcome::Declined(AUTHENTICATION_FAILED_MESSAGE.to_owned());
            }
        }
        self.go_back(&id)
    }

    /// The customer leaves a page without a payment. The page stays as it is.
    pub fn leave(&mut self, id: &str, now: i64) -> Outcome {
        self.advance(now);
        if self.page(id).is_none() {
            return Outcome::Unknown;
        }
        self.go_back(id)
    }

    fn go_back(&self, id: &str) -> Outcome {
        let url = self.page(id).and_then(|page| page.return_url);
        Outcome::Redirect(url.unwrap_or_else(|| self.page_url(id)))
    }

    /// The refusal of a session that is not open.
    fn closed(&self, id: &str) -> Option<Outcome> {
        let message = match self.sessions.get(id)?.status {
            PageStatus::Open => return None,
            PageStatus::Complete => "This payment was already made.",
            PageStatus::Expired => "This payment page has expired.",
        };
        Some(Outcome::Declined(message.to_owned()))
    }

    /// The URL to which the customer returns from the step of an intent.
    pub(crate) fn way_back(&self, intent: &Intent) -> Option<String> {
        let session = intent.session.as_ref().and_then(|id| self.sessions.get(id));
        match session {
            Some(session) => match session.status {
                PageStatus::Open => Some(self.page_url(&session.id)),
                PageStatus::Complete => Some(session.success_url()),
                PageStatus::Expired => session.cancel_url(),
            },
            None => intent.return_url.as_deref().map(|url| with_result(url, intent)),
        }
    }
}

/// Adds the parameters of Stripe to the return URL of an intent.
fn with_result(url: &str, intent: &Intent) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let separator = if url.contains('?') { '&' } else { '?' };
    let status = match intent.status {
        IntentStatus::Succeeded => "succeeded",
        IntentStatus::Processing => "pending",
        IntentStatus::RequiresPaymentMethod
        | IntentStatus::RequiresConfirmation
        | IntentStatus::RequiresAction
        | IntentStatus::Canceled => "failed",
    };
    format!(
        "{url}{separator}payment_intent={}&payment_intent_client_secret={}&redirect_status={status}{fragment}",
        intent.id,
        intent.client_secret(),
    )
}
