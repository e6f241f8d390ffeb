//! Payment intents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Account;
use crate::numbered::Named;

/// The status of a payment intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentStatus {
    /// The intent has no card, or its card was declined.
    RequiresPaymentMethod,
    /// The intent has a card.
    RequiresConfirmation,
    /// The customer has to authenticate the payment.
    RequiresAction,
    /// The result of the charge is not known.
    Processing,
    /// The intent is paid.
    Succeeded,
    /// The intent was canceled.
    Canceled,
}

impl IntentStatus {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the intent waits for the merchant or the customer.
    pub(crate) fn is_open(self) -> bool {
        match self {
            Self::RequiresPaymentMethod | Self::RequiresConfirmation | Self::RequiresAction => true,
            Self::Processing | Self::Succeeded | Self::Canceled => false,
        }
    }
}

/// A payment intent.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The id, such as `pi_1`.
    pub id: String,
    /// The merchant's names and values.
    pub metadata: BTreeMap<String, String>,
    /// The amount in the smallest unit of the currency.
    pub amount: u64,
    /// The amount that was paid. Refunds do not change it.
    pub amount_received: u64,
    /// The currency in lower case.
    pub currency: String,
    /// The id of the customer.
    pub customer: Option<String>,
    /// The status.
    pub status: IntentStatus,
    /// The number of times that money was requested from a card, declines included.
    pub charge_attempts: u32,
    /// The number of confirm requests that had an effect. Replays are not counted.
    pub confirms: u32,
    /// The amount that was refunded.
    pub refunded: u64,
    /// The customer has disputed the payment.
    pub disputed: bool,
    pub(crate) created: i64,
    pub(crate) description: Option<String>,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) types: Vec<String>,
    /// Payment methods that redirect the customer are accepted, so a confirmation has a return URL.
    pub(crate) may_redirect: bool,
    pub(crate) method: Option<String>,
    /// The Checkout session that has made the intent.
    pub(crate) session: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) last_error: Option<Value>,
    pub(crate) charge: Option<String>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) cancellation_reason: Option<String>,
}

impl Named for Intent {
    fn id(&self) -> &str {
        &self.id
    }
}

/// The parts of a new intent that differ between requests and Checkout.
#[derive(Debug, Default)]
pub(crate) struct NewIntent {
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) customer: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) setup_future_usage: Option<String>,
    pub(crate) types: Vec<String>,
    pub(crate) may_redirect: bool,
    pub(crate) method: Option<String>,
    pub(crate) session: Option<String>,
}

impl Intent {
    pub(crate) fn new(id: String, new: NewIntent, created: i64) -> Self {
        let status = match new.method {
            Some(_) => IntentStatus::RequiresConfirmation,
            None => IntentStatus::RequiresPaymentMethod,
        };
        Self {
            id,
            metadata: new.metadata,
            amount: new.amount,
            amount_received: 0,
            currency: new.currency,
            customer: new.customer,
            status,
            charge_attempts: 0,
            confirms: 0,
            refunded: 0,
            disputed: false,
            created,
            description: new.description,
            setup_future_usage: new.setup_future_usage,
            types: new.types,
            may_redirect: new.may_redirect,
            method: new.method,
            session: new.session,
            return_url: None,
            last_error: None,
            charge: None,
            canceled_at: None,
            cancellation_reason: None,
        }
    }

    pub(crate) fn client_secret(&self) -> String {
        format!("{}_secret", self.id)
    }
}

impl Account {
    /// Adds an intent. Returns its id.
    pub(crate) fn add_intent(&mut self, new: NewIntent, now: i64) -> String {
        let id = self.intents.add(|id| Intent::new(id, new, now));
        self.emit_intent("payment_intent.created", &id, now);
        id
    }

    pub(crate) fn change_intent(&mut self, id: &str, change: impl FnOnce(&mut Intent)) {
        if let Some(intent) = self.intents.get_mut(id) {
            change(intent);
        }
    }

    pub(crate) fn emit_intent(&mut self, kind: &str, id: &str, now: i64) {
        let object = self.intent_json(id, false);
        self.emit(kind, &object, now);
    }

    /// The JSON of an intent; null for an unknown id.
    pub(crate) fn intent_json(&self, id: &str, expands_charge: bool) -> Value {
        let Some(intent) = self.intents.get(id) else { return Value::Null };
        json!({
            "id": intent.id,
            "object": "payment_intent",
            "amount": intent.amount,
            "amount_capturable": 0,
            "amount_received": intent.amount_received,
            "canceled_at": intent.canceled_at,
            "cancellation_reason": intent.cancellation_reason,
            "capture_method": "automatic",
            "client_secret": intent.client_secret(),
            "confirmation_method": "automatic",
            "created": intent.created,
            "currency": intent.currency,
            "customer": intent.customer,
            "description": intent.description,
            "last_payment_error": intent.last_error,
            "latest_charge": self.latest_charge(intent, expands_charge),
            "livemode": false,
            "metadata": intent.metadata,
            "next_action": self.next_action(intent),
            "payment_method": intent.method,
            "payment_method_types": intent.types,
            "setup_future_usage": intent.setup_future_usage,
            "status": intent.status.as_str(),
        })
    }

    fn next_action(&self, intent: &Intent) -> Value {
        if intent.status != IntentStatus::RequiresAction {
            return Value::Null;
        }
        let url = self.page_url(&intent.id);
        match &intent.return_url {
            Some(return_url) => json!({
                "type": "redirect_to_url",
                "redirect_to_url": { "url": url, "return_url": return_url },
            }),
            // Without a return URL the step is left to Stripe's JavaScript.
            None => json!({
                "type": "use_stripe_sdk",
                "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url },
            }),
        }
    }
}
