//! An entry of the history.

use serde::Serialize;

use crate::domain::ids::{AccountId, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Entry, Kind};
use crate::domain::ledger::work::Work;
use crate::domain::time::Time;

/// An entry of the ledger. A field without a value is left out.
#[derive(Clone, Debug, Serialize)]
pub struct EntryView {
    id: Id,
    team: TeamId,
    kind: Kind,
    at: Time,
    credits: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_up: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<WorkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_key: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
}

#[derive(Clone, Debug, Serialize)]
struct WorkView {
    leads: u64,
    actions: Vec<String>,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            team: entry.team,
            kind: entry.kind,
            at: entry.at,
            credits: entry.credits,
            held: (entry.held != 0).then_some(entry.held),
            key: entry.key,
            person: entry.person,
            epoch: entry.epoch,
            plan: entry.plan,
            purchase: entry.purchase,
            top_up: entry.top_up.then_some(true),
            hold: entry.hold,
            work: entry.work.map(|Work { leads, actions }| WorkView { leads, actions }),
            expires_in: entry.expires_in,
            account: entry.account,
            action: entry.action,
            quantity: entry.quantity,
            outcome: entry.outcome,
            own_key: entry.own_key,
            price_version: entry.price_version,
            user: entry.user,
            reference: entry.reference,
        }
    }
}
