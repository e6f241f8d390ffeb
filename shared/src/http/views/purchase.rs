//! A purchase.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::ids::{Id, Reference};
use crate::domain::money::Amount;
use crate::domain::purchase::{Purchase, PurchaseStatus};
use crate::domain::time::Time;

/// A purchase. `reference`, `reason`, `code`, `receipt_url` and `next_action` are left out without a value.
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
    /// The payment provider's code of that reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    code: Option<String>,
    /// The payment provider's page with the receipt of a paid purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    receipt_url: Option<String>,
    /// The step that a pending payment needs from the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    next_action: Option<NextAction>,
}

/// A step of the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextAction {
    #[serde(rename = "type")]
    kind: NextActionKind,
    /// The page.
    url: String,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum NextActionKind {
    /// The customer opens a page of the payment provider.
    Redirect,
}

impl NextAction {
    /// The customer opens a page of the payment provider.
    #[must_use]
    pub const fn redirect(url: String) -> Self {
        Self { kind: NextActionKind::Redirect, url }
    }

    /// The page.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl PurchaseView {
    /// A purchase, and the step that its payment needs from the customer.
    #[must_use]
    pub fn new(purchase: Purchase, next_action: Option<NextAction>) -> Self {
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
            code: purchase.code,
            receipt_url: purchase.receipt.and_then(|receipt| receipt.url),
            next_action,
        }
    }
}
