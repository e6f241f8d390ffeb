//! The parts of Stripe's objects that the function reads. Unknown fields and values are tolerated.

use std::collections::HashMap;

use serde::Deserialize;
use shared::domain::ids::ProviderId;

/// A payment: Stripe's `PaymentIntent`.
#[derive(Clone, Debug, Deserialize)]
pub struct Intent {
    /// The id, `pi_…`.
    pub id: ProviderId,
    /// The status.
    pub status: IntentStatus,
    /// The amount in the smallest unit of the currency.
    pub amount: u64,
    /// The money that was taken.
    #[serde(default)]
    pub amount_received: u64,
    /// The currency, in lowercase.
    pub currency: String,
    /// The customer.
    pub customer: Option<ProviderId>,
    /// The data of the merchant: the team and the purchase.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// The error of the last attempt to take the money.
    pub last_payment_error: Option<CardError>,
    /// The step that the payment needs.
    pub next_action: Option<NextStep>,
    /// The charge of the last attempt.
    pub latest_charge: Option<Expandable<Charge>>,
}

/// The status of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// It has no card, or the card was declined.
    RequiresPaymentMethod,
    /// It takes no money until it is confirmed.
    RequiresConfirmation,
    /// The customer must confirm it with the bank.
    RequiresAction,
    /// The money is being taken.
    Processing,
    /// The money was taken.
    Succeeded,
    /// It takes no money any more.
    Canceled,
    /// A status that this client does not know.
    #[serde(other)]
    Unknown,
}

/// Why a card was not charged.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CardError {
    /// Stripe's code, such as `card_declined`.
    pub code: Option<String>,
    /// The code of the bank, such as `insufficient_funds`.
    pub decline_code: Option<String>,
}

/// The step that a payment needs from the customer.
#[derive(Clone, Debug, Deserialize)]
pub struct NextStep {
    /// A page of the bank.
    pub redirect_to_url: Option<Redirect>,
}

/// A page to open.
#[derive(Clone, Debug, Deserialize)]
pub struct Redirect {
    /// Its URL.
    pub url: Option<String>,
}

/// An object that Stripe states by its id unless it is asked to expand it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    /// The object.
    Object(T),
    /// Its id.
    Id(String),
}

impl<T> Expandable<T> {
    /// The object, if it was expanded.
    pub const fn object(&self) -> Option<&T> {
        match self {
            Self::Object(object) => Some(object),
            Self::Id(_) => None,
        }
    }
}

/// An attempt to take money.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// The id, `ch_…`.
    pub id: ProviderId,
    /// The page with the receipt.
    pub receipt_url: Option<String>,
    /// Whether the customer's bank disputes it.
    #[serde(default)]
    pub disputed: bool,
    /// The money that was refunded.
    #[serde(default)]
    pub amount_refunded: u64,
}

/// A refund or a dispute: money of a payment that went back.
#[derive(Clone, Debug, Deserialize)]
pub struct Returned {
    /// The id, `re_…` or `dp_…`.
    pub id: ProviderId,
    /// The money.
    pub amount: u64,
    /// The status, such as `succeeded`.
    pub status: Option<String>,
}

impl Returned {
    /// Whether it has this status.
    #[must_use]
    pub fn has_status(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }

    /// Whether a dispute is only a question of the bank: no money has moved.
    #[must_use]
    pub fn is_inquiry(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status.starts_with("warning_"))
    }
}

/// A page on which the customer pays: a session of Stripe's Checkout.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// The id, `cs_…`.
    pub id: ProviderId,
    /// The status.
    pub status: Option<SessionStatus>,
    /// The page, while it is open.
    pub url: Option<String>,
    /// The payment, once the customer has entered a card.
    pub payment_intent: Option<ProviderId>,
    /// The data of the merchant: the team and the purchase.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
}

/// The status of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The customer can pay.
    Open,
    /// The customer has paid, or the money is being taken.
    Complete,
    /// The customer cannot pay any more.
    Expired,
    /// A status that this client does not know.
    #[serde(other)]
    Unknown,
}

/// A refused request.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// Stripe's kind of the error, such as `card_error`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Stripe's code, such as `resource_missing`.
    pub code: Option<String>,
    /// A text for the log.
    #[serde(default)]
    pub message: String,
}

impl Refusal {
    /// Whether the object does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code.as_deref() == Some("resource_missing")
    }
}
