//! A charge.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::ids::{Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::Entry;
use crate::domain::time::Time;

/// A charge or a capture. `credits` is the cost.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChargeView {
    id: Id,
    key: Option<Key>,
    team: TeamId,
    action: Option<String>,
    /// The quantity in the unit of the action; in seconds if started minutes are charged.
    quantity: Option<u64>,
    outcome: Option<String>,
    /// Whether the team's own key for the provider was used.
    own_key: Option<bool>,
    /// The cost. 0 for an outcome that is not charged.
    credits: Credits,
    /// The version of the catalogue with the price.
    price_version: Option<String>,
    /// The user that the charge is for.
    user: Option<UserId>,
    /// The caller's own name for it.
    reference: Option<Reference>,
    /// The hold that paid. Null if the pool paid.
    hold: Option<Id>,
    at: Time,
}

impl From<Entry> for ChargeView {
    fn from(entry: Entry) -> Self {
        let charged = entry.charged();
        Self {
            action: charged.map(|charged| charged.action.clone()),
            quantity: charged.map(|charged| charged.quantity),
            outcome: charged.and_then(|charged| charged.outcome.clone()),
            own_key: charged.map(|charged| charged.own_key),
            price_version: charged.and_then(|charged| charged.price_version.clone()),
            credits: entry.amount(),
            hold: entry.hold().cloned(),
            id: entry.id,
            key: entry.key,
            team: entry.team,
            user: entry.user,
            reference: entry.reference,
            at: entry.at,
        }
    }
}
