//! The seam to the payment provider.

use futures_util::future::BoxFuture;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::purchase::Purchase;

/// How a payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// The money was taken.
    Succeeded,
    /// The customer has a step to take, which this describes. Nobody is there to take one in an
    /// automatic top-up: what would need it has failed.
    ActionNeeded(Value),
    /// The money was not taken and will not be, for this reason.
    Failed(String),
}

/// Takes the money for purchases.
pub trait Payments: Send + Sync {
    /// Asks for the payment of a purchase. The purchase's id is the provider's idempotency key:
    /// asked again, it tells how the one payment stands.
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>>;
}

/// What a function has as long as it is connected to no provider: nothing can be bought, and what
/// was ordered stays pending.
#[derive(Clone, Copy, Debug)]
pub struct NotConnected;

impl Payments for NotConnected {
    fn pay<'a>(&'a self, _: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        let reason = "no payment provider is connected".to_owned();
        Box::pin(std::future::ready(Err(Error::PaymentFailed(reason))))
    }
}
