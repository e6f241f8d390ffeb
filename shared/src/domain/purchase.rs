//! Purchases and gifts: credits that roll over.

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::price_list::Offer;
use crate::domain::ids::{CallerKey, Id, Key, ProviderId, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Details, Entry, Purchased};
use crate::domain::limits::{GIFT_CREDITS_MAX, PURCHASE_CREDITS_MAX, RECORDED_CENTS_MAX};
use crate::domain::money::{Amount, AmountRequest, Currency};
use crate::domain::payment::{DisputeCause, Disputed, Receipt, RequestedPayment, Unassigned};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A pending purchase is checked by the schedule this many seconds after its order, and after a check that failed.
pub const FIRST_CHECK_SECONDS: u32 = 5 * 60;

/// A purchase that is still pending is checked again after this many seconds.
pub const PENDING_CHECK_SECONDS: u32 = 60 * 60;

/// A purchase that is not paid this many seconds after its order is ended.
pub const ABANDONED_AFTER_SECONDS: u32 = 24 * 60 * 60;

/// The status of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PurchaseStatus {
    /// The payment has not succeeded yet. It may need a step of the customer.
    Pending,
    /// The money was taken and the credits are in the pool.
    Paid,
    /// The payment has failed finally.
    Failed,
}

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// A hash of the team and the caller's key.
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// The caller's idempotency key; for an automatic top-up, the id of its event.
    pub key: Key,
    /// The person in whose key space the key is; `None` for the key space of the machine clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<UserId>,
    /// The admin that ordered it; `None` for an automatic top-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Whether it is an automatic top-up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_up: bool,
    /// The credits bought.
    pub credits: Credits,
    /// Their price at the time of the order.
    pub amount: Amount,
    /// Its status.
    pub status: PurchaseStatus,
    /// The time of the order.
    pub at: Time,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The payment provider's code of that reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its payment, once it was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<RequestedPayment>,
    /// The payment that took the money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Money that needs manual handling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unassigned: Option<Unassigned>,
    /// Whether it was paid elsewhere and recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
    /// The invoice or contract of a recorded purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

impl Purchase {
    /// A purchase that is yet to be paid.
    #[must_use]
    pub fn new(team: &TeamId, key: CallerKey, user: UserId, offer: Offer, at: Time) -> Self {
        let id = Id::of("p", team, &key.source());
        Self { user: Some(user), ..Self::pending(id, team, key, offer, at) }
    }

    /// An automatic top-up that is yet to be paid. One event makes one purchase.
    #[must_use]
    pub fn top_up(team: &TeamId, event: &Id, offer: Offer, at: Time) -> Self {
        let id = Self::id_of_top_up(team, event);
        let key = CallerKey::of_machine(event.clone().into());
        Self { top_up: true, ..Self::pending(id, team, key, offer, at) }
    }

    /// The id of the top-up that follows from an event.
    #[must_use]
    pub fn id_of_top_up(team: &TeamId, event: &Id) -> Id {
        Id::of("t", team, event.as_str())
    }

    /// A purchase that was paid elsewhere.
    #[must_use]
    pub fn recorded(
        team: &TeamId,
        key: CallerKey,
        user: UserId,
        request: RecordedPurchaseRequest,
        at: Time,
    ) -> Self {
        let RecordedPurchaseRequest { credits, amount, reference } = request;
        let offer = Offer { credits, amount: amount.into() };
        let (status, recorded) = (PurchaseStatus::Paid, true);
        Self { status, recorded, reference, ..Self::new(team, key, user, offer, at) }
    }

    fn pending(id: Id, team: &TeamId, key: CallerKey, offer: Offer, at: Time) -> Self {
        let (CallerKey { key, person }, Offer { credits, amount }) = (key, offer);
        let (team, status) = (team.clone(), PurchaseStatus::Pending);
        Self {
            id,
            team,
            key,
            person,
            user: None,
            top_up: false,
            credits,
            amount,
            status,
            at,
            reason: None,
            code: None,
            payment: None,
            receipt: None,
            unassigned: None,
            recorded: false,
            reference: None,
        }
    }

    /// Whether it was ordered too long ago to be paid.
    #[must_use]
    pub fn is_abandoned(&self, now: Time) -> bool {
        self.at.plus_seconds(ABANDONED_AFTER_SECONDS) <= now
    }

    /// The money of a purchase that was paid for a closed account; `None` without a receipt.
    #[must_use]
    pub fn unassigned_in_closed_account(&self) -> Option<Unassigned> {
        let payment = self.receipt.as_ref()?.payment.clone();
        let reason = "the account was closed before the payment".to_owned();
        Some(Unassigned { payment, amount: self.amount, reason })
    }

    /// The entry of its order, which holds its key from the beginning.
    #[must_use]
    pub fn order(&self) -> Entry {
        self.entry_of(Details::Order(self.purchased()), self.at)
    }

    /// The ledger entry of the purchase, paid at that time.
    #[must_use]
    pub fn entry(&self, at: Time) -> Entry {
        self.entry_of(Details::Purchase(self.purchased()), at)
    }

    /// The ledger entry for money of the purchase that went back, of 0 credits.
    #[must_use]
    pub fn dispute(&self, object: ProviderId, cents: u64, cause: DisputeCause, at: Time) -> Entry {
        let amount = Amount { cents, ..self.amount };
        let disputed = Disputed { purchase: self.id.clone(), object, amount, cause };
        let user = self.user.clone();
        Entry { user, ..Entry::new(&self.team, None, Details::Dispute(disputed), at) }
    }

    fn entry_of(&self, details: Details, at: Time) -> Entry {
        let key = CallerKey { key: self.key.clone(), person: self.person.clone() };
        Entry {
            credits: self.credits.gained(),
            user: self.user.clone(),
            reference: self.reference.clone(),
            names_no_user: self.recorded,
            ..Entry::new(&self.team, Some(key), details, at)
        }
    }

    fn purchased(&self) -> Purchased {
        let (purchase, amount) = (self.id.clone(), self.amount);
        Purchased { purchase, amount, top_up: self.top_up, recorded: self.recorded }
    }
}

/// The body of `POST /teams/{team}/purchases/recorded`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RecordedPurchaseRequest {
    /// The credits bought, 1 to [`PURCHASE_CREDITS_MAX`].
    pub credits: Credits,
    /// The price that the customer paid, in the currency of the catalogue.
    pub amount: AmountRequest,
    /// The invoice, the bank transfer or the contract.
    pub reference: Option<Reference>,
}

impl RecordedPurchaseRequest {
    /// Checks the ranges of the credits and the cents, and the currency.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self, currency: Currency) -> Result<(), Error> {
        if self.credits.is_zero() || self.credits > PURCHASE_CREDITS_MAX {
            return Err(Error::invalid("credits", format!("must be 1 to {PURCHASE_CREDITS_MAX}")));
        }
        if self.amount.currency != currency {
            return Err(Error::invalid("amount.currency", format!("must be `{currency}`")));
        }
        if self.amount.cents > RECORDED_CENTS_MAX {
            let detail = format!("must be at most {RECORDED_CENTS_MAX}");
            return Err(Error::invalid("amount.cents", detail));
        }
        Ok(())
    }
}

/// The body of `POST /teams/{team}/gifts`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GiftRequest {
    /// The credits given, 1 to [`GIFT_CREDITS_MAX`].
    pub credits: Credits,
    /// Why, or for which ticket.
    pub reference: Option<Reference>,
}

impl GiftRequest {
    /// The ledger entry of the gift.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no credits or too many.
    pub fn entry(
        self,
        team: &TeamId,
        key: CallerKey,
        by: UserId,
        at: Time,
    ) -> Result<Entry, Error> {
        if self.credits.is_zero() || self.credits > GIFT_CREDITS_MAX {
            return Err(Error::invalid("credits", format!("must be 1 to {GIFT_CREDITS_MAX}")));
        }
        Ok(Entry {
            credits: self.credits.gained(),
            user: Some(by),
            reference: self.reference,
            names_no_user: true,
            ..Entry::new(team, Some(key), Details::Gift {}, at)
        })
    }
}
