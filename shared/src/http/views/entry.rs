//! An entry of the history.

use serde::Serialize;

use crate::domain::ids::{AccountId, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Charged, Details, Entry, Kind, Lapsed, OfCycle, Purchased};
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
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    #[serde(flatten)]
    details: DetailsView,
}

/// The fields of an entry's kind.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum DetailsView {
    Charge {
        action: String,
        quantity: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        outcome: Option<String>,
        own_key: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        price_version: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hold: Option<Id>,
    },
    Hold {
        hold: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_in: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        work: Option<WorkView>,
    },
    Purchase {
        purchase: Id,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        top_up: bool,
    },
    Cycle {
        epoch: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    None {},
}

#[derive(Clone, Debug, Serialize)]
struct WorkView {
    leads: u64,
    actions: Vec<String>,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            kind: entry.kind(),
            id: entry.id,
            team: entry.team,
            at: entry.at,
            credits: entry.credits,
            held: (entry.held != 0).then_some(entry.held),
            key: entry.key,
            person: entry.person,
            user: entry.user,
            reference: entry.reference,
            details: entry.details.into(),
        }
    }
}

impl From<Details> for DetailsView {
    fn from(details: Details) -> Self {
        match details {
            Details::Charge(charged) => Self::charge(charged, None),
            Details::Capture { hold, charged } => Self::charge(charged, Some(hold)),
            Details::Hold { hold, expires_in, work } => Self::Hold {
                hold,
                expires_in: Some(expires_in),
                work: work.map(|Work { leads, actions }| WorkView { leads, actions }),
            },
            Details::Release { hold } | Details::Expiry(Lapsed::Hold { hold }) => {
                Self::Hold { hold, expires_in: None, work: None }
            }
            Details::Order(Purchased { purchase, top_up, .. })
            | Details::Purchase(Purchased { purchase, top_up, .. }) => {
                Self::Purchase { purchase, top_up }
            }
            Details::Grant(OfCycle { epoch, plan })
            | Details::Expiry(Lapsed::Cycle(OfCycle { epoch, plan })) => {
                Self::Cycle { epoch, plan }
            }
            Details::Gift {} | Details::Other { .. } => Self::None {},
        }
    }
}

impl DetailsView {
    fn charge(charged: Charged, hold: Option<Id>) -> Self {
        let Charged { action, quantity, outcome, own_key, price_version, account, .. } = charged;
        Self::Charge { action, quantity, outcome, own_key, price_version, account, hold }
    }
}
