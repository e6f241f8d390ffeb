//! A purchase.

use serde::Serialize;
use serde_json::Value;

use crate::domain::Credits;
use crate::domain::ids::{Id, Reference};
use crate::domain::money::Amount;
use crate::domain::purchase::{Purchase, PurchaseStatus};
use crate::domain::time::Time;

/// A purchase. `reference`, `reason` and `next_action` are left out without a value.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurchaseView {
    id: Id,
    credits: Credits,
    amount: Amount,
    status: PurchaseStatus,
    /// Whether this was an automatic top-up.
    top_up: bool,
    /// Whether it was paid elsewhere and recorded.
    recorded: bool,
    /// The invoice or contract of a recorded purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    reference: Option<Reference>,
    at: Time,
    /// The reason of a failed payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    reason: Option<String>,
    /// The step that a pending payment needs from the customer, in the form of the payment provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, nullable = false))]
    next_action: Option<Value>,
}

impl PurchaseView {
    /// A purchase, and the step that its payment needs from the customer.
    #[must_use]
    pub fn new(purchase: Purchase, next_action: Option<Value>) -> Self {
        Self {
            amount: purchase.amount,
            id: purchase.id,
            credits: purchase.credits,
            status: purchase.status,
            top_up: purchase.top_up,
            recorded: purchase.recorded,
            reference: purchase.reference,
            at: purchase.at,
            reason: purchase.reason,
            next_action,
        }
    }
}
