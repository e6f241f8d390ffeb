//! Checkout sessions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Account;
use crate::intent::{IntentStatus, NewIntent};
use crate::numbered::Named;
use crate::page_state::PageStatus;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Payment,
    Setup,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Setup => "setup",
        }
    }
}

/// The parameters of a session.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) mode: Mode,
    pub(crate) customer: Option<String>,
    pub(crate) client_reference_id: Option<String>,
    pub(crate) amount: Option<u64>,
    pub(crate) currency: Option<String>,
    /// The names of the products.
    pub(crate) description: String,
    pub(crate) success_url: String,
    pub(crate) cancel_url: Option<String>,
    pub(crate) expires_at: i64,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) intent_metadata: BTreeMap<String, String>,
    pub(crate) intent_description: Option<String>,
    pub(crate) setup_future_usage: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) new: NewSession,
    pub(crate) created: i64,
    pub(crate) status: PageStatus,
    pub(crate) is_paid: bool,
    /// The intent, after a card was submitted.
    pub(crate) intent: Option<String>,
    /// In setup mode: a card that waits for the step of its customer.
    pub(crate) waiting: Option<String>,
}

impl Named for Session {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Session {
    pub(crate) fn success_url(&self) -> String {
        self.filled(&self.new.success_url)
    }

    pub(crate) fn cancel_url(&self) -> Option<String> {
        self.new.cancel_url.as_deref().map(|url| self.filled(url))
    }

    fn filled(&self, url: &str) -> String {
        url.replace("{CHECKOUT_SESSION_ID}", &self.id)
    }

    fn payment_status(&self) -> &'static str {
        match (self.new.mode, self.is_paid) {
            (Mode::Setup, _) => "no_payment_required",
            (Mode::Payment, true) => "paid",
            (Mode::Payment, false) => "unpaid",
        }
    }
}

impl Account {
    /// The JSON of a session; null for an unknown id.
    pub(crate) fn session_json(&self, id: &str, expands_intent: bool) -> Value {
        let Some(session) = self.sessions.get(id) else { return Value::Null };
        let new = &session.new;
        let is_open = session.status == PageStatus::Open;
        let intent = match &session.intent {
            Some(intent) if expands_intent => self.intent_json(intent, false),
            intent => json!(intent),
        };
        let setup_intent =
            (new.mode == Mode::Setup).then(|| session.id.replace("cs_test_", "seti_"));
        json!({
            "id": session.id,
            "object": "checkout.session",
            "amount_subtotal": new.amount,
            "amount_total": new.amount,
            "cancel_url": new.cancel_url,
            "client_reference_id": new.client_reference_id,
            "created": session.created,
            "currency": new.currency,
            "customer": new.customer,
            "customer_email": null,
            "expires_at": new.expires_at,
            "livemode": false,
            "metadata": new.metadata,
            "mode": new.mode.as_str(),
            "payment_intent": intent,
            "payment_method_types": ["card"],
            "payment_status": session.payment_status(),
            "setup_intent": setup_intent,
            "status": session.status.as_str(),
            "success_url": new.success_url,
            "ui_mode": "hosted",
            "url": is_open.then(|| self.page_url(&session.id)),
        })
    }

    pub(crate) fn emit_session(&mut self, kind: &str, id: &str, now: i64) {
        let object = self.session_json(id, false);
        self.emit(kind, &object, now);
    }

    /// Completes a session whose card was accepted.
    pub(crate) fn complete_session(&mut self, id: &str, is_paid: bool, now: i64) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.status = PageStatus::Complete;
        session.is_paid = is_paid;
        session.waiting = None;
        self.emit_session("checkout.session.completed", id, now);
    }

    /// Updates the session of an intent after the intent has changed.
    pub(crate) fn follow_intent(&mut self, intent: &str, now: i64) {
        let Some(intent) = self.intents.get(intent) else { return };
        let Some(session) = intent.session.as_ref().and_then(|id| self.sessions.get_mut(id)) else {
            return;
        };
        let id = session.id.clone();
        let method = intent.method.clone().unwrap_or_default();
        let saver = intent.customer.clone().filter(|_| intent.setup_future_usage.is_some());
        match (intent.status, session.status) {
            (IntentStatus::Processing, PageStatus::Open) => self.complete_session(&id, false, now),
            (IntentStatus::Succeeded, status) => {
                session.is_paid = true;
                if let Some(customer) = saver {
                    self.store_method(&method, &customer);
                }
                if status == PageStatus::Open {
                    self.complete_session(&id, true, now);
                } else {
                    self.emit_session("checkout.session.async_payment_succeeded", &id, now);
                }
            }
            (IntentStatus::RequiresPaymentMethod, PageStatus::Complete) => {
                self.emit_session("checkout.session.async_payment_failed", &id, now);
            }
            _ => (),
        }
    }

    /// The intent of a session, which is made when the first card is submitted.
    pub(crate) fn intent_of_session(&mut self, session: &Session, now: i64) -> String {
        if let Some(intent) = &session.intent {
            return intent.clone();
        }
        let new = NewIntent {
            amount: session.new.amount.unwrap_or_default(),
            currency: session.new.currency.clone().unwrap_or_default(),
            customer: session.new.customer.clone(),
            metadata: session.new.intent_metadata.clone(),
            description: session.new.intent_description.clone(),
            setup_future_usage: session.new.setup_future_usage.clone(),
            types: vec!["card".to_owned()],
            may_redirect: false,
            method: None,
            session: Some(session.id.clone()),
        };
        let intent = self.add_intent(new, now);
        if let Some(session) = self.sessions.get_mut(&session.id) {
            session.intent = Some(intent.clone());
        }
        intent
    }

    /// Expires the sessions whose time is over.
    pub(crate) fn expire_due(&mut self, now: i64) {
        let is_due = |session: &&Session| {
            session.status == PageStatus::Open && session.new.expires_at <= now
        };
        let due: Vec<(String, i64)> = self
            .sessions
            .iter()
            .filter(is_due)
            .map(|session| (session.id.clone(), session.new.expires_at))
            .collect();
        for (id, expires_at) in due {
            self.expire_session(&id, expires_at);
        }
    }

    /// Expires an open session and cancels its intent.
    pub(crate) fn expire_session(&mut self, id: &str, now: i64) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.status = PageStatus::Expired;
        session.waiting = None;
        let intent = session.intent.clone().unwrap_or_default();
        self.emit_session("checkout.session.expired", id, now);
        if self.intents.get(&intent).is_some_and(|intent| intent.status.is_open()) {
            self.cancel(&intent, Some("automatic".to_owned()), now);
        }
    }
}
