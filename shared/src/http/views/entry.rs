//! An entry of the history.

use serde::Serialize;

use crate::domain::ids::{AccountId, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Charged, Details, Entry, Kind, Lapsed, OfCycle, Purchased};
use crate::domain::ledger::work::Work;
use crate::domain::money::Amount;
use crate::domain::payment::{DisputeCause, Disputed};
use crate::domain::time::Time;

/// An entry of the ledger. A field without a value is left out.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EntryView {
    id: Id,
    team: TeamId,
    kind: Kind,
    at: Time,
    /// The credits that the team gained, or lost if negative.
    credits: i64,
    /// The credits that moved into holds, or out of them if negative. Left out if it is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    held: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    key: Option<Key>,
    /// The person in whose key space the key is. Left out for the key space of the machine clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    person: Option<UserId>,
    /// The user that the operation was done for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    user: Option<UserId>,
    /// The caller's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    reference: Option<Reference>,
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = EntryDetails))]
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
    Dispute {
        purchase: Id,
        amount: Amount,
        cause: DisputeCause,
    },
    Cycle {
        epoch: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    None {},
}

/// The fields of all kinds. Each entry has those of its kind.
#[cfg(feature = "openapi")]
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "the schema of the flattened details")]
struct EntryDetails {
    /// The action of a charge or a capture.
    #[schema(nullable = false)]
    action: Option<String>,
    /// The quantity of a charge or a capture in the unit of the action; in seconds if started minutes are charged.
    #[schema(nullable = false)]
    quantity: Option<u64>,
    /// The outcome of a charge or a capture.
    #[schema(nullable = false)]
    outcome: Option<String>,
    /// Whether the team's own key for the provider was used for a charge or a capture.
    #[schema(nullable = false)]
    own_key: Option<bool>,
    /// The version of the catalogue with the price of a charge or a capture.
    #[schema(nullable = false)]
    price_version: Option<String>,
    /// The monitored account whose month was charged.
    #[schema(nullable = false)]
    account: Option<AccountId>,
    /// The hold of a hold, a capture, a release or an expiry.
    #[schema(nullable = false)]
    hold: Option<Id>,
    /// The seconds after which a hold expires.
    #[schema(nullable = false)]
    expires_in: Option<u32>,
    /// The work that a hold was sized for.
    #[schema(nullable = false)]
    work: Option<WorkView>,
    /// The purchase of a purchase or a dispute.
    #[schema(nullable = false)]
    purchase: Option<Id>,
    /// The money of a dispute that went back to the customer.
    #[schema(nullable = false)]
    amount: Option<Amount>,
    /// Why the money of a dispute went back.
    #[schema(nullable = false)]
    cause: Option<DisputeCause>,
    /// Whether a purchase was an automatic top-up. Left out if it was not.
    #[schema(nullable = false)]
    top_up: Option<bool>,
    /// The number of the epoch that a grant began, or that lapsed.
    #[schema(nullable = false)]
    epoch: Option<u64>,
    /// The plan of a grant or of an expiry.
    #[schema(nullable = false)]
    plan: Option<String>,
}

/// The work that a hold was sized for.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
            Details::Dispute(Disputed { purchase, amount, cause, .. }) => {
                Self::Dispute { purchase, amount, cause }
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
