//! Purchases and gifts: credits that roll over.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CallerKey, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Details, Entry, Purchased};
use crate::domain::limits::GIFT_CREDITS_MAX;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The price of a purchased credit in cents. There are no tiers.
pub const CENTS_PER_CREDIT: u64 = 1;

/// The currency of all amounts.
pub const CURRENCY: &str = "usd";

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Whole cents.
    pub cents: u64,
    /// The currency.
    pub currency: &'static str,
}

impl Amount {
    /// The price of credits.
    #[must_use]
    pub const fn of(credits: Credits) -> Self {
        Self { cents: credits.get().saturating_mul(CENTS_PER_CREDIT), currency: CURRENCY }
    }
}

/// The status of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its status.
    pub status: PurchaseStatus,
    /// The time of the order.
    pub at: Time,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Purchase {
    /// A purchase that is yet to be paid.
    #[must_use]
    pub fn new(team: &TeamId, key: CallerKey, user: UserId, credits: Credits, at: Time) -> Self {
        let id = Id::of("p", team, &key.source());
        Self { user: Some(user), ..Self::pending(id, team, key, credits, at) }
    }

    /// An automatic top-up that is yet to be paid. One event makes one purchase.
    #[must_use]
    pub fn top_up(team: &TeamId, event: &Id, credits: Credits, at: Time) -> Self {
        let id = Self::id_of_top_up(team, event);
        let key = CallerKey::of_machine(event.clone().into());
        Self { top_up: true, ..Self::pending(id, team, key, credits, at) }
    }

    /// The id of the top-up that follows from an event.
    #[must_use]
    pub fn id_of_top_up(team: &TeamId, event: &Id) -> Id {
        Id::of("t", team, event.as_str())
    }

    fn pending(id: Id, team: &TeamId, key: CallerKey, credits: Credits, at: Time) -> Self {
        let CallerKey { key, person } = key;
        let (team, status) = (team.clone(), PurchaseStatus::Pending);
        Self { id, team, key, person, user: None, top_up: false, credits, status, at, reason: None }
    }

    /// The entry of its order, which holds its key from the beginning.
    #[must_use]
    pub fn order(&self) -> Entry {
        let key = CallerKey { key: self.key.clone(), person: self.person.clone() };
        let details = Details::Order(self.purchased());
        Entry {
            credits: self.credits.gained(),
            user: self.user.clone(),
            ..Entry::new(&self.team, Some(key), details, self.at)
        }
    }

    /// The ledger entry of the purchase, paid at that time.
    #[must_use]
    pub fn entry(&self, at: Time) -> Entry {
        let key = CallerKey { key: self.key.clone(), person: self.person.clone() };
        let details = Details::Purchase(self.purchased());
        Entry {
            credits: self.credits.gained(),
            user: self.user.clone(),
            ..Entry::new(&self.team, Some(key), details, at)
        }
    }

    fn purchased(&self) -> Purchased {
        Purchased { purchase: self.id.clone(), top_up: self.top_up }
    }

    /// Its price.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        Amount::of(self.credits)
    }
}

/// The body of `POST /teams/{team}/gifts`.
#[derive(Clone, Debug, Deserialize)]
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
