//! A charge.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::ids::{Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::Entry;
use crate::domain::time::Time;

/// A charge or a capture. `credits` is the cost.
#[derive(Clone, Debug, Serialize)]
pub struct ChargeView {
    id: Id,
    key: Option<Key>,
    team: TeamId,
    action: Option<String>,
    quantity: Option<u64>,
    outcome: Option<String>,
    own_key: Option<bool>,
    credits: Credits,
    price_version: Option<String>,
    user: Option<UserId>,
    reference: Option<Reference>,
    hold: Option<Id>,
    at: Time,
}

impl From<Entry> for ChargeView {
    fn from(entry: Entry) -> Self {
        Self {
            credits: entry.spent(),
            id: entry.id,
            key: entry.key,
            team: entry.team,
            action: entry.action,
            quantity: entry.quantity,
            outcome: entry.outcome,
            own_key: entry.own_key,
            price_version: entry.price_version,
            user: entry.user,
            reference: entry.reference,
            hold: entry.hold,
            at: entry.at,
        }
    }
}
