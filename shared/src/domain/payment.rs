//! The payment of a purchase, as the payment provider identifies it.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{Id, ProviderId};
use crate::domain::money::Amount;

/// A payment that was requested from the provider. It is stored before it can take money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedPayment {
    /// The customer that pays. Each team has one.
    pub customer: ProviderId,
    /// The provider's object.
    #[serde(flatten)]
    pub object: PaymentObject,
}

/// The provider's object of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "lowercase")]
pub enum PaymentObject {
    /// A payment by the stored card.
    Intent(ProviderId),
    /// A page of the provider on which the customer enters a card.
    Session(ProviderId),
}

/// A payment that has taken the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The payment.
    pub payment: ProviderId,
    /// The provider's page with the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The final failure of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decline {
    /// The reason in plain words.
    pub reason: String,
    /// The provider's code of the reason, if the provider gave one.
    pub code: Option<String>,
}

impl Decline {
    /// A failure for a reason of the service.
    #[must_use]
    pub fn because(reason: &str) -> Self {
        Self { reason: reason.to_owned(), code: None }
    }
}

/// Money that was taken and needs manual handling: the account is closed, or the payment does not match its purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unassigned {
    /// The payment.
    pub payment: ProviderId,
    /// The money.
    pub amount: Amount,
    /// The reason in plain words.
    pub reason: String,
}

/// Why money of a purchase went back to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DisputeCause {
    /// The customer's bank took it back.
    Chargeback,
    /// It was refunded in the provider's dashboard.
    Refund,
}

/// Money of a purchase that went back to the customer. The credits stay; an operator decides on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disputed {
    /// The purchase.
    pub purchase: Id,
    /// The provider's object: the charge that was disputed, or the refund.
    pub object: ProviderId,
    /// The money.
    pub amount: Amount,
    /// The cause.
    pub cause: DisputeCause,
}
