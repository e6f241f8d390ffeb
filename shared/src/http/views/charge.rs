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
