//! Charges: a request, and the ledger entry that follows from it.

use serde::Deserialize;

use crate::domain::Error;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{CallerKey, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Charged, Details, Entry};
use crate::domain::time::Time;

/// A charge request. On its own route a charge has neither `team` nor `key`, in a batch it has a `key`, and in a
/// direct invocation both.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChargeRequest {
    /// The team, in a direct invocation.
    pub team: Option<TeamId>,
    /// The idempotency key, in a batch and a direct invocation.
    pub key: Option<Key>,
    /// The action of the catalogue.
    pub action: String,
    /// The quantity in the unit of the action; in seconds if started minutes are charged. 1 by default.
    #[serde(default = "one")]
    pub quantity: u64,
    /// The outcome. Optional for an action with one outcome.
    pub outcome: Option<String>,
    /// The user that the charge is for: the caller, unless a machine client names another.
    pub user: Option<UserId>,
    /// The caller's own name for it.
    pub reference: Option<Reference>,
    /// Whether the team's own key for the provider was used.
    #[serde(default)]
    pub own_key: bool,
    /// The hold that the charge is captured from.
    pub hold: Option<Id>,
}

const fn one() -> u64 {
    1
}

impl ChargeRequest {
    /// Checks that the request has no team or key that the route already has.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a team, or for a key unless it belongs here.
    pub fn check_address(&self, has_key: bool) -> Result<(), Error> {
        match (&self.team, &self.key) {
            (Some(_), _) => Err(Error::invalid("team", "is in the path")),
            (None, Some(_)) if !has_key => {
                Err(Error::invalid("key", "is in the header Idempotency-Key"))
            }
            (None, _) => Ok(()),
        }
    }

    /// The ledger entry of this charge at the prices of `list`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action or an outcome that the list does not have, or a quantity out of range.
    pub fn price(
        self,
        team: &TeamId,
        key: CallerKey,
        user: Option<UserId>,
        list: &PriceList,
        at: Time,
    ) -> Result<Entry, Error> {
        self.unpriced(team, key, user, at).priced(list)
    }

    /// The ledger entry of this charge without its price.
    #[must_use]
    pub fn unpriced(self, team: &TeamId, key: CallerKey, user: Option<UserId>, at: Time) -> Entry {
        let charged = Charged {
            action: self.action,
            quantity: self.quantity,
            names_no_outcome: self.outcome.is_none(),
            outcome: self.outcome,
            own_key: self.own_key,
            price_version: None,
            account: None,
        };
        let details = match self.hold {
            Some(hold) => Details::Capture { hold, charged },
            None => Details::Charge(charged),
        };
        Entry {
            user,
            reference: self.reference,
            names_no_user: self.user.is_none(),
            ..Entry::new(team, Some(key), details, at)
        }
    }
}

impl Entry {
    /// The entry of a charge with its price of `list`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action or an outcome that the list does not have, or a quantity out of
    /// range.
    pub fn priced(mut self, list: &PriceList) -> Result<Self, Error> {
        let is_capture = self.hold().is_some();
        let Some(charged) = self.charged_mut() else { return Ok(self) };
        let price = list.price(&charged.action)?;
        let outcome = price.outcome(charged.outcome.as_deref())?;
        let cost = price.cost(charged.quantity, outcome, charged.own_key)?;
        let metering = price.metering(charged.quantity);
        charged.outcome = Some(outcome.to_owned());
        charged.price_version = Some(list.version.clone());
        self.metering = Some(metering);
        self.credits = cost.lost();
        self.held = if is_capture { cost.lost() } else { 0 };
        Ok(self)
    }
}
