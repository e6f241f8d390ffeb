//! The ledger: one entry for everything that a team gains or loses.

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::Credits;
use crate::domain::catalogue::prices::Metering;
use crate::domain::ids::{AccountId, CallerKey, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::work::Work;
use crate::domain::money::Amount;
use crate::domain::payment::Disputed;
use crate::domain::time::Time;

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An action was charged, possibly with 0 credits.
    Charge,
    /// An action was charged to a hold.
    Capture,
    /// Credits were reserved.
    Hold,
    /// The remaining credits of a hold were returned, by its owner or by its expiry.
    Release,
    /// A purchase was ordered. The entry holds the key of the purchase and is not listed in the history.
    Order,
    /// A purchase was paid.
    Purchase,
    /// Support staff gave credits.
    Gift,
    /// The plan granted free credits.
    Grant,
    /// Free credits lapsed.
    Expiry,
    /// Money of a purchase went back to the customer. The entry is of 0 credits.
    Dispute,
    /// A kind that a newer version of the code wrote.
    #[serde(untagged)]
    Other(String),
}

impl Kind {
    /// The kind in an item and a response.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Charge => "charge",
            Self::Capture => "capture",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Order => "order",
            Self::Purchase => "purchase",
            Self::Gift => "gift",
            Self::Grant => "grant",
            Self::Expiry => "expiry",
            Self::Dispute => "dispute",
            Self::Other(name) => name,
        }
    }
}

/// A line of a team's ledger. For an operation with an idempotency key it is also the guard for exactly once: the
/// operation is done if and only if its entry exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// A hash of the team and of [`Details::source_for`].
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// The time of the operation.
    pub at: Time,
    /// The credits that the team gained, or lost if negative.
    #[serde(deserialize_with = "change")]
    pub credits: i64,
    /// The credits that moved into holds, or out of them if negative.
    #[serde(default, deserialize_with = "change", skip_serializing_if = "is_zero")]
    pub held: i64,
    /// The idempotency key. Entries of a cycle and of an expired hold have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The person in whose key space the key is; `None` for the key space of the machine clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<UserId>,
    /// The user that the operation was done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The caller's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The attributes of its kind.
    #[serde(flatten)]
    pub details: Details,
    /// Whether the request named no user, so that `user` is the machine client that sent it. Not stored.
    #[serde(skip)]
    pub names_no_user: bool,
    /// The metering of a priced charge. Not stored.
    #[serde(skip)]
    pub metering: Option<Metering>,
}

/// The attributes of each kind of entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Details {
    /// See [`Kind::Charge`].
    Charge(Charged),
    /// See [`Kind::Capture`].
    Capture {
        /// The hold that paid.
        hold: Id,
        /// The charge.
        #[serde(flatten)]
        charged: Charged,
    },
    /// See [`Kind::Hold`].
    Hold {
        /// The hold.
        hold: Id,
        /// The seconds after which it expires.
        expires_in: u32,
        /// The work that it was sized for, if it was not sized by an amount.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        work: Option<Work>,
    },
    /// See [`Kind::Release`].
    Release {
        /// The hold.
        hold: Id,
    },
    /// See [`Kind::Order`].
    Order(Purchased),
    /// See [`Kind::Purchase`].
    Purchase(Purchased),
    /// See [`Kind::Gift`].
    Gift {},
    /// See [`Kind::Grant`].
    Grant(OfCycle),
    /// See [`Kind::Expiry`].
    Expiry(Lapsed),
    /// See [`Kind::Dispute`].
    Dispute(Disputed),
    /// See [`Kind::Other`].
    #[serde(untagged)]
    Other {
        /// The name of the kind.
        #[serde(deserialize_with = "other_kind")]
        kind: String,
    },
}

/// An action that was charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// The action.
    pub action: String,
    /// The quantity in the unit of the action; in seconds if started minutes are charged.
    pub quantity: u64,
    /// The outcome. `None` only before the charge is priced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether the request named no outcome, so that `outcome` is the only one of the price. Not stored.
    #[serde(skip)]
    pub names_no_outcome: bool,
    /// Whether the team's own key for the provider was used.
    pub own_key: bool,
    /// The version of the price list. `None` only before the charge is priced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// The monitored account whose month is charged. Such a charge has no caller's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}

/// A purchase that was ordered or paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchased {
    /// The purchase.
    pub purchase: Id,
    /// Its price.
    pub amount: Amount,
    /// Whether it is an automatic top-up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_up: bool,
    /// Whether it was paid elsewhere. Its request states the price then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
}

/// The change that began an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfCycle {
    /// The epoch.
    pub epoch: u64,
    /// The plan whose credits were granted or lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// The cause of an expiry of free credits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lapsed {
    /// Their cycle ended.
    Cycle(OfCycle),
    /// A hold returned them after the end of their cycle.
    Hold {
        /// The hold.
        hold: Id,
    },
}

/// A stored change of at most [`Credits::MAX`] in size.
fn change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let credits = i64::deserialize(deserializer)?;
    Credits::try_from(credits.unsigned_abs()).map_err(serde::de::Error::custom)?;
    Ok(credits)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(held: &i64) -> bool {
    *held == 0
}

/// The name of a kind that this version does not know. An entry of a known kind with other attributes is an error.
fn other_kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Kind::deserialize(deserializer)? {
        Kind::Other(name) => Ok(name),
        known @ (Kind::Charge
        | Kind::Capture
        | Kind::Hold
        | Kind::Release
        | Kind::Order
        | Kind::Purchase
        | Kind::Gift
        | Kind::Grant
        | Kind::Expiry
        | Kind::Dispute) => {
            let message = format!("an entry of kind `{}` lacks attributes", known.as_str());
            Err(serde::de::Error::custom(message))
        }
    }
}

impl Details {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Charge(_) => Kind::Charge,
            Self::Capture { .. } => Kind::Capture,
            Self::Hold { .. } => Kind::Hold,
            Self::Release { .. } => Kind::Release,
            Self::Order(_) => Kind::Order,
            Self::Purchase(_) => Kind::Purchase,
            Self::Gift {} => Kind::Gift,
            Self::Grant(_) => Kind::Grant,
            Self::Expiry(_) => Kind::Expiry,
            Self::Dispute(_) => Kind::Dispute,
            Self::Other { kind } => Kind::Other(kind.clone()),
        }
    }

    const fn hold(&self) -> Option<&Id> {
        if let Self::Capture { hold, .. }
        | Self::Hold { hold, .. }
        | Self::Release { hold }
        | Self::Expiry(Lapsed::Hold { hold }) = self
        {
            return Some(hold);
        }
        None
    }

    /// The source of an entry, unique within the team: a caller's key in its key space, the month of a monitored
    /// account, an automatic top-up, a paid purchase, money that went back, the change of an epoch, or the end of a
    /// hold. All operations share a caller's keys, so a key stands for one operation. No caller's key is the key of a
    /// month or of a top-up.
    #[must_use]
    pub fn source_for(&self, key: Option<&CallerKey>) -> String {
        let kind = self.kind();
        let kind = kind.as_str();
        match (self, key) {
            (Self::Purchase(Purchased { purchase, .. }), _) => format!("{kind}#{purchase}"),
            (Self::Dispute(Disputed { object, .. }), _) => format!("{kind}#{object}"),
            (Self::Charge(Charged { account: Some(_), .. }), Some(key)) => {
                format!("account#{}", key.key)
            }
            (Self::Order(Purchased { top_up: true, .. }), Some(key)) => {
                format!("top-up#{}", key.key)
            }
            (_, Some(key)) => key.source(),
            (Self::Grant(change) | Self::Expiry(Lapsed::Cycle(change)), None) => {
                format!("{kind}#{}", change.epoch)
            }
            (_, None) => self.hold().map_or(kind.to_owned(), |hold| format!("{kind}#{hold}")),
        }
    }
}

impl Entry {
    /// An entry of 0 credits.
    #[must_use]
    pub fn new(team: &TeamId, key: Option<CallerKey>, details: Details, at: Time) -> Self {
        let id = Id::of("e", team, &details.source_for(key.as_ref()));
        let (key, person) = key.map_or((None, None), |key| (Some(key.key), key.person));
        let (team, user, reference) = (team.clone(), None, None);
        let (credits, held, names_no_user, metering) = (0, 0, false, None);
        Self {
            id,
            team,
            at,
            credits,
            held,
            key,
            person,
            user,
            reference,
            details,
            names_no_user,
            metering,
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.details.kind()
    }

    /// The charged action of a charge or a capture.
    #[must_use]
    pub const fn charged(&self) -> Option<&Charged> {
        if let Details::Charge(charged) | Details::Capture { charged, .. } = &self.details {
            return Some(charged);
        }
        None
    }

    /// The charged action, for changes.
    pub const fn charged_mut(&mut self) -> Option<&mut Charged> {
        if let Details::Charge(charged) | Details::Capture { charged, .. } = &mut self.details {
            return Some(charged);
        }
        None
    }

    /// The purchase that was ordered or paid.
    #[must_use]
    pub const fn purchased(&self) -> Option<&Purchased> {
        if let Details::Order(purchased) | Details::Purchase(purchased) = &self.details {
            return Some(purchased);
        }
        None
    }

    /// The purchase, for changes.
    const fn purchased_mut(&mut self) -> Option<&mut Purchased> {
        if let Details::Order(purchased) | Details::Purchase(purchased) = &mut self.details {
            return Some(purchased);
        }
        None
    }

    /// The hold that was taken, captured from or released, or that returned credits too late.
    #[must_use]
    pub const fn hold(&self) -> Option<&Id> {
        self.details.hold()
    }

    /// The credits that the entry takes from its payer, or adds.
    #[must_use]
    pub const fn amount(&self) -> Credits {
        Credits::of_change(self.credits)
    }

    /// See [`Details::source_for`].
    #[must_use]
    pub fn source(&self) -> String {
        let person = self.person.clone();
        let key = self.key.clone().map(|key| CallerKey { key, person });
        self.details.source_for(key.as_ref())
    }

    /// Whether this entry is of the same request as `asked`: everything is equal except for the time and the price. A
    /// machine client that names no user repeats the request of any machine client of the team. A request that names no
    /// outcome has that of the entry.
    #[must_use]
    pub fn answers(&self, asked: &Self) -> bool {
        let mut asked = asked.clone();
        asked.at = self.at;
        if asked.names_no_user && asked.person.is_none() {
            asked.user.clone_from(&self.user);
        }
        (asked.names_no_user, asked.metering) = (self.names_no_user, self.metering);
        let is_for_work = matches!(self.details, Details::Hold { work: Some(_), .. });
        if is_for_work || self.charged().is_some() {
            (asked.credits, asked.held) = (self.credits, self.held);
        }
        if let (Some(asked), Some(charged)) = (asked.charged_mut(), self.charged()) {
            asked.price_version.clone_from(&charged.price_version);
            if asked.names_no_outcome {
                asked.outcome.clone_from(&charged.outcome);
            }
            asked.names_no_outcome = charged.names_no_outcome;
        }
        if let (Some(asked), Some(purchased)) = (asked.purchased_mut(), self.purchased())
            && !purchased.recorded
        {
            asked.amount = purchased.amount;
        }
        *self == asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(kind: &serde_json::Value) -> Result<Entry, serde_json::Error> {
        let mut entry =
            json!({ "id": "e_1", "team": "t", "at": "2026-11-03T00:00:00Z", "credits": 0 });
        entry.as_object_mut().unwrap().append(&mut kind.as_object().unwrap().clone());
        serde_json::from_value(entry)
    }

    #[test]
    fn keeps_the_name_of_an_unknown_kind() {
        let entry = parsed(&json!({ "kind": "transfer", "to": "t_2" })).unwrap();
        assert_eq!(entry.kind(), Kind::Other("transfer".to_owned()));
    }

    #[test]
    fn rejects_a_known_kind_without_its_attributes() {
        for kind in [
            "charge", "capture", "hold", "release", "order", "purchase", "grant", "expiry",
            "dispute",
        ] {
            let error = parsed(&json!({ "kind": kind })).unwrap_err().to_string();
            assert!(error.contains("did not match") || error.contains("lacks"), "{kind}: {error}");
        }
    }

    #[test]
    fn an_expiry_is_of_a_cycle_or_of_a_hold() {
        let of_cycle = parsed(&json!({ "kind": "expiry", "epoch": 3, "plan": "p" })).unwrap();
        assert_eq!((of_cycle.hold(), of_cycle.source()), (None, "expiry#3".to_owned()));
        let of_hold = parsed(&json!({ "kind": "expiry", "hold": "h_1" })).unwrap();
        assert_eq!(of_hold.source(), "expiry#h_1");
    }
}
