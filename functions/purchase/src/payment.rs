//! The payment of a purchase, step by step.
//!
//! A payment is created unconfirmed and takes no money. Its id is stored with the purchase, and only then is it
//! confirmed. A process that stops in between leaves either a payment that takes no money, or one that every later
//! process finds by the stored id. So no purchase takes money twice, and no payment is lost.

use lambda_http::tracing;
use shared::domain::Error;
use shared::domain::ids::{ProviderId, TeamId};
use shared::domain::money::{Amount, Currency};
use shared::domain::payment::{Decline, PaymentObject, Receipt, RequestedPayment, Unassigned};
use shared::domain::purchase::{Purchase, PurchaseStatus};
use shared::http::views::purchase::NextAction;

use crate::PurchaseState;
use crate::decline::{authentication_required, of_card, of_refusal};
use crate::stripe::{Customer, Expandable, Intent, IntentStatus, Reply, Session, SessionStatus};

/// The state of a payment.
#[derive(Clone, Debug)]
pub(crate) enum Payment {
    /// The money was taken.
    Succeeded(Box<Intent>),
    /// It takes no money until it is confirmed.
    Unconfirmed,
    /// The customer must open this page.
    Redirect(String),
    /// The money is being taken.
    Processing,
    /// The card was declined. A browser could confirm it with another card until it is cancelled.
    Declined(Decline),
    /// The money was not taken and will not be.
    Failed(Decline),
    /// The connected account does not have it: another account was connected when it was requested.
    Missing,
}

impl From<Intent> for Payment {
    fn from(intent: Intent) -> Self {
        match intent.status {
            IntentStatus::Succeeded => Self::Succeeded(Box::new(intent)),
            IntentStatus::RequiresConfirmation => Self::Unconfirmed,
            IntentStatus::Canceled => Self::Failed(Decline::because("the payment was cancelled")),
            IntentStatus::RequiresPaymentMethod => {
                Self::Declined(of_card(&intent.last_payment_error.unwrap_or_default()))
            }
            IntentStatus::RequiresAction => {
                let url = intent.next_action.and_then(|step| step.redirect_to_url?.url);
                url.map_or(Self::Processing, Self::Redirect)
            }
            IntentStatus::Processing | IntentStatus::Unknown => Self::Processing,
        }
    }
}

impl Payment {
    /// Whether the money was not taken.
    const fn has_failed(&self) -> bool {
        matches!(self, Self::Declined(_) | Self::Failed(_))
    }
}

/// The receipt of a payment that took the money.
fn receipt(intent: &Intent) -> Receipt {
    let charge = intent.latest_charge.as_ref().and_then(Expandable::object);
    let url = charge.and_then(|charge| charge.receipt_url.clone());
    Receipt { payment: intent.id.clone(), url }
}

/// Why a payment that took money is not the payment of a purchase.
fn mismatch(intent: &Intent, purchase: &Purchase) -> Option<&'static str> {
    let Some(payment) = &purchase.payment else {
        return Some("the purchase has requested no payment");
    };
    let named = |name| intent.metadata.get(name).map(String::as_str).unwrap_or_default();
    if (named("team"), named("purchase")) != (purchase.team.as_str(), purchase.id.as_str()) {
        return Some("the payment names another purchase");
    }
    if intent.customer.as_ref() != Some(&payment.customer) {
        return Some("the payment is of another customer");
    }
    if intent.currency != purchase.amount.currency.to_string() {
        return Some("the payment is in another currency");
    }
    if intent.amount_received != purchase.amount.cents {
        return Some("the payment is of another amount");
    }
    let is_requested = match &payment.object {
        PaymentObject::Intent(id) => *id == intent.id,
        PaymentObject::Session(_) => true,
    };
    let is_of_receipt = |receipt: &Receipt| receipt.payment == intent.id;
    if is_requested && purchase.receipt.as_ref().is_none_or(is_of_receipt) {
        None
    } else {
        Some("the purchase has another payment")
    }
}

impl PurchaseState {
    /// Continues a pending purchase: requests its payment, or looks at the one that was requested, and stores the
    /// result. Returns the purchase, and the step that the payment needs from the customer. `customer` is the team's
    /// stored customer. The caller has checked that the account is active.
    ///
    /// # Errors
    /// [`Error::AccountClosed`] if it was closed since; [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn pay(
        &self,
        purchase: Purchase,
        customer: Option<ProviderId>,
    ) -> Result<(Purchase, Option<NextAction>), Error> {
        if purchase.status != PurchaseStatus::Pending {
            return Ok((purchase, None));
        }
        if purchase.payment.is_none() {
            let (purchase, payment) = Box::pin(self.request(purchase, customer)).await?;
            return self.conclude(purchase, payment).await;
        }
        let payment = Box::pin(self.resume(&purchase)).await?;
        self.conclude(purchase, payment).await
    }

    /// Requests the payment of a purchase that has none. If another process was first, its payment is continued.
    async fn request(
        &self,
        purchase: Purchase,
        mut known: Option<ProviderId>,
    ) -> Result<(Purchase, Payment), Error> {
        loop {
            let customer = self.customer(&purchase.team, known.as_ref()).await?;
            let (object, page) = match self.create(&purchase, &customer).await? {
                Ok(created) => created,
                Err(decline) => return Ok((purchase, Payment::Failed(decline))),
            };
            let requested = RequestedPayment { customer: customer.id, object };
            let store = &self.app.store;
            let stored = store.purchase_put_payment(&purchase, requested.clone(), known.as_ref());
            let Some(stored) = stored.await? else {
                // Another process has given the team its customer.
                known = store.customer_read(&purchase.team).await?;
                continue;
            };
            let is_own = stored.payment.as_ref() == Some(&requested);
            let payment = match (page, &requested.object) {
                (Some(page), _) if is_own => Payment::Redirect(page),
                (None, PaymentObject::Intent(id)) if is_own => self.confirm(&stored, id).await?,
                _ => self.resume(&stored).await?,
            };
            return Ok((stored, payment));
        }
    }

    /// Creates a payment that takes no money yet: by the stored card, else by a page, whose URL it returns. The inner
    /// error is a final failure.
    async fn create(
        &self,
        purchase: &Purchase,
        customer: &Customer,
    ) -> Result<Result<(PaymentObject, Option<String>), Decline>, Error> {
        let created = match &customer.card {
            None if purchase.top_up => {
                return Ok(Err(Decline::because("no card is stored for automatic payments")));
            }
            None => {
                let created = self.stripe.session_create(purchase, &customer.id).await?;
                created.map(|session| (PaymentObject::Session(session.id), session.url))
            }
            Some(card) => {
                let created = self.stripe.intent_create(purchase, &customer.id, card).await?;
                created.map(|intent| (PaymentObject::Intent(intent.id), None))
            }
        };
        Ok(match created {
            Reply::Accepted(created) => Ok(created),
            Reply::Refused(refusal) => {
                tracing::error!(purchase = %purchase.id, ?refusal, "Stripe refused a payment");
                Err(of_refusal(refusal.code.as_deref()))
            }
        })
    }

    /// The state of a requested payment. One that was not confirmed is confirmed. An automatic top-up does not wait
    /// for a step of the customer.
    async fn resume(&self, purchase: &Purchase) -> Result<Payment, Error> {
        let state = self.payment_state(purchase).await?;
        match (state, &purchase.payment) {
            (
                Payment::Unconfirmed,
                Some(RequestedPayment { object: PaymentObject::Intent(id), .. }),
            ) => self.confirm(purchase, id).await,
            (Payment::Redirect(_), _) if purchase.top_up => {
                self.cancel(purchase, authentication_required()).await
            }
            (state, _) => Ok(state),
        }
    }

    /// Takes the money of a payment whose id is stored.
    async fn confirm(&self, purchase: &Purchase, id: &ProviderId) -> Result<Payment, Error> {
        let (payment, refusal) = match self.stripe.intent_confirm(id, purchase).await {
            Ok(Reply::Accepted(intent)) => (Payment::from(intent), None),
            // The card was declined, or another process has confirmed or cancelled it.
            Ok(Reply::Refused(refusal)) => (self.payment_state(purchase).await?, Some(refusal)),
            // The answer is lost.
            Err(Error::Busy) => (self.payment_state(purchase).await?, None),
            Err(error) => return Err(error),
        };
        if let (Payment::Unconfirmed, Some(refusal)) = (&payment, refusal) {
            tracing::error!(purchase = %purchase.id, ?refusal, "Stripe refused to confirm a payment");
            return self.cancel(purchase, of_refusal(refusal.code.as_deref())).await;
        }
        match payment {
            Payment::Unconfirmed => Err(Error::Busy),
            Payment::Redirect(_) if purchase.top_up => {
                self.cancel(purchase, authentication_required()).await
            }
            Payment::Succeeded(_)
            | Payment::Redirect(_)
            | Payment::Processing
            | Payment::Declined(_)
            | Payment::Failed(_)
            | Payment::Missing => Ok(payment),
        }
    }

    /// The state of a requested payment, without an effect.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn payment_state(&self, purchase: &Purchase) -> Result<Payment, Error> {
        let Some(RequestedPayment { object, .. }) = &purchase.payment else {
            return Ok(Payment::Unconfirmed);
        };
        match object {
            PaymentObject::Intent(id) => self.intent_state(id).await,
            PaymentObject::Session(id) => {
                let session = self.stripe.session_read(id).await?;
                let Some(Session { status, url, payment_intent, .. }) = session else {
                    return Ok(Payment::Missing);
                };
                match (status, url, payment_intent) {
                    (Some(SessionStatus::Open), Some(url), _) => Ok(Payment::Redirect(url)),
                    (Some(SessionStatus::Expired), _, None) => Ok(expired()),
                    // Stripe cancels the payment of an expired page.
                    (Some(SessionStatus::Expired), _, Some(intent)) => {
                        let state = self.intent_state(&intent).await?;
                        Ok(if state.has_failed() { expired() } else { state })
                    }
                    (_, _, Some(intent)) => self.intent_state(&intent).await,
                    (_, _, None) => Ok(Payment::Processing),
                }
            }
        }
    }

    async fn intent_state(&self, id: &ProviderId) -> Result<Payment, Error> {
        Ok(self.stripe.intent_read(id).await?.map_or(Payment::Missing, Payment::from))
    }

    /// Ends the payment of a purchase. Returns its state after it: the money may have been taken before, or is just
    /// being taken. A payment that was never requested has ended if no process requests it before the failure is stored.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn cancel(
        &self,
        purchase: &Purchase,
        decline: Decline,
    ) -> Result<Payment, Error> {
        let intent = match purchase.payment.as_ref().map(|payment| &payment.object) {
            None => return Ok(Payment::Failed(decline)),
            Some(PaymentObject::Intent(id)) => Some(id.clone()),
            Some(PaymentObject::Session(id)) => {
                // Refused if the session is complete or has expired.
                let _ = self.stripe.session_expire(id).await?;
                self.stripe.session_read(id).await?.and_then(|session| session.payment_intent)
            }
        };
        if let Some(id) = intent {
            // Refused if the money was taken or is being taken.
            let _ = self.stripe.intent_cancel(&id).await?;
        }
        let state = self.payment_state(purchase).await?;
        Ok(if state.has_failed() { Payment::Failed(decline) } else { state })
    }

    /// Stores the result of a payment. Returns the purchase after it, and the step that the payment needs from the
    /// customer.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn conclude(
        &self,
        purchase: Purchase,
        payment: Payment,
    ) -> Result<(Purchase, Option<NextAction>), Error> {
        match payment {
            Payment::Succeeded(intent) => Ok((self.settle(purchase, &intent).await?, None)),
            Payment::Declined(decline) => {
                self.end_declined(&purchase).await;
                Ok((self.app.store.purchase_fail(&purchase, &decline).await?, None))
            }
            Payment::Failed(decline) => {
                Ok((self.app.store.purchase_fail(&purchase, &decline).await?, None))
            }
            Payment::Missing => {
                let Purchase { team, id, .. } = &purchase;
                let missing = "does not have the payment of";
                Err(Error::internal(format!("the Stripe account {missing} {id} of {team}")))
            }
            Payment::Redirect(url) => Ok((purchase, Some(NextAction::redirect(url)))),
            Payment::Unconfirmed | Payment::Processing => Ok((purchase, None)),
        }
    }

    /// Cancels the payment of a declined card. If that fails, a later success is reported by a message.
    async fn end_declined(&self, purchase: &Purchase) {
        let Some(RequestedPayment { object: PaymentObject::Intent(id), .. }) = &purchase.payment
        else {
            return;
        };
        if let Err(error) = self.stripe.intent_cancel(id).await {
            tracing::warn!(purchase = %purchase.id, %error, "a declined payment was not cancelled");
        }
    }

    /// Adds the credits of a purchase whose own payment took the money. If it does not match, it is unassigned and the
    /// purchase fails.
    async fn settle(&self, purchase: Purchase, intent: &Intent) -> Result<Purchase, Error> {
        let purchase = self.add_payment(purchase, intent).await?;
        if purchase.status != PurchaseStatus::Pending {
            return Ok(purchase);
        }
        let decline = Decline::because("the payment does not match the purchase");
        self.app.store.purchase_fail(&purchase, &decline).await
    }

    /// Adds the credits of a purchase if a payment that took money is its payment. Another payment is unassigned, and
    /// the purchase waits for its own.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn add_payment(
        &self,
        purchase: Purchase,
        intent: &Intent,
    ) -> Result<Purchase, Error> {
        let store = &self.app.store;
        let mut purchase = purchase;
        let mut mismatch = mismatch(intent, &purchase);
        if mismatch.is_none() && purchase.status != PurchaseStatus::Paid {
            let paid = Purchase { receipt: Some(receipt(intent)), ..purchase };
            purchase = store.purchase_settle(&paid, self.app.clock.now()).await?;
            // Another payment may have been first.
            mismatch = self::mismatch(intent, &purchase);
        }
        let Some(reason) = mismatch else { return Ok(purchase) };
        let (team, id, payment) = (&purchase.team, &purchase.id, &intent.id);
        tracing::error!(%team, purchase = %id, %payment, reason, "money is unassigned");
        let currency = Currency::try_from(intent.currency.clone()).map_err(Error::internal)?;
        let amount = Amount { cents: intent.amount_received, currency };
        let (payment, reason) = (intent.id.clone(), reason.to_owned());
        let unassigned = Unassigned { payment, amount, reason };
        store.purchase_put_unassigned(&purchase, &unassigned).await?;
        Ok(purchase)
    }

    /// The team's customer with its card. Creates one for a team without a customer, or whose customer was deleted; the
    /// caller stores it.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn customer(
        &self,
        team: &TeamId,
        known: Option<&ProviderId>,
    ) -> Result<Customer, Error> {
        if let Some(id) = known
            && let Some(customer) = self.stripe.customer_read(id).await?
        {
            return Ok(customer);
        }
        let id = self.stripe.customer_create(team).await?;
        let customer = self.stripe.customer_read(&id).await?;
        customer.ok_or_else(|| Error::internal("Stripe does not find a customer it has created"))
    }

    /// As [`PurchaseState::customer`], and stores a new customer.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Internal`].
    pub(crate) async fn stored_customer(&self, team: &TeamId) -> Result<Customer, Error> {
        let store = &self.app.store;
        let known = store.customer_read(team).await?;
        let customer = self.customer(team, known.as_ref()).await?;
        if known.as_ref() == Some(&customer.id) {
            return Ok(customer);
        }
        let id = store.customer_put(team, customer.id.clone(), known.as_ref()).await?;
        if id == customer.id { Ok(customer) } else { self.customer(team, Some(&id)).await }
    }
}

/// A payment whose page has expired.
fn expired() -> Payment {
    Payment::Failed(Decline::because("the payment page has expired without a payment"))
}
