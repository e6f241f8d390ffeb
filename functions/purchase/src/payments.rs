//! The interface to the payment provider.

use std::future::ready;

use futures_util::future::BoxFuture;
use serde_json::Value;
use shared::domain::Error;
use shared::domain::purchase::Purchase;

/// The state of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// The money was taken.
    Succeeded,
    /// The payment needs this step from the customer. For an automatic top-up, which has no
    /// customer present, a provider returns [`Payment::Failed`] instead.
    ActionNeeded(Value),
    /// The money was not taken and will not be. The text is the reason.
    Failed(String),
}

/// Takes the money for purchases.
pub trait Payments: Send + Sync {
    /// Requests the payment of a purchase. The purchase's id is the idempotency key of the provider: a
    /// repeated request returns the state of the same payment.
    fn pay<'a>(&'a self, purchase: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>>;

    /// The state of the payment of a purchase, without an effect. `None` if none was requested.
    fn state<'a>(&'a self, purchase: &'a Purchase)
    -> BoxFuture<'a, Result<Option<Payment>, Error>>;

    /// Ends the payment of a purchase for a reason, also one that was never requested. Returns its state after it:
    /// [`Payment::Succeeded`] if the money was taken before, [`Payment::ActionNeeded`] if it is just being taken. After
    /// [`Payment::Failed`] a request takes no money: [`Payments::pay`] returns that failure.
    fn cancel<'a>(
        &'a self,
        purchase: &'a Purchase,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Payment, Error>>;
}

/// The absence of a provider: every payment is an error, and a purchase stays pending.
#[derive(Clone, Copy, Debug)]
pub struct NotConnected;

impl Payments for NotConnected {
    fn pay<'a>(&'a self, _: &'a Purchase) -> BoxFuture<'a, Result<Payment, Error>> {
        let reason = "no payment provider is connected".to_owned();
        Box::pin(ready(Err(Error::PaymentFailed(reason))))
    }

    fn state<'a>(&'a self, _: &'a Purchase) -> BoxFuture<'a, Result<Option<Payment>, Error>> {
        Box::pin(ready(Ok(None)))
    }

    fn cancel<'a>(
        &'a self,
        _: &'a Purchase,
        reason: &'a str,
    ) -> BoxFuture<'a, Result<Payment, Error>> {
        Box::pin(ready(Ok(Payment::Failed(reason.to_owned()))))
    }
}
