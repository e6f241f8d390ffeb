//! The ledger: one entry for everything that a team gained or lost.

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::ids::{AccountId, CallerKey, Id, Key, Reference, TeamId, UserId};
use crate::domain::ledger::work::Work;
use crate::domain::time::Time;

/// What an entry tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An action was charged, perhaps with 0 credits.
    Charge,
    /// An action was charged to a hold.
    Capture,
    /// Credits were reserved.
    Hold,
    /// What was left of a hold was given back, by its owner or because its time was over.
    Release,
    /// Credits were ordered. The entry holds the key of a purchase and is not listed in the history.
    Order,
    /// Credits were bought and paid.
    Purchase,
    /// Support staff gave credits.
    Gift,
    /// The plan brought free credits.
    Grant,
    /// Free credits lapsed.
    Expiry,
    /// A kind that a newer version wrote.
    #[serde(untagged)]
    Other(String),
}

impl Kind {
    /// The word that stands for it in an item and an answer.
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
            Self::Other(name) => name,
        }
    }
}

/// One line of a team's ledger. For an operation with an idempotency key it is also the guard:
/// where the entry is, the operation was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The entry's id, made from the team and the source.
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// What it tells of.
    pub kind: Kind,
    /// When it happened.
    pub at: Time,
    /// What the team gained, or lost if negative, in credits.
    pub credits: i64,
    /// What moved into holds, or out of them if negative, in credits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: i64,
    /// The caller's idempotency key; entries of a cycle, and of a hold that expired, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The person in whose key space the key is; none for a machine client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<UserId>,
    /// The epoch that an entry of a cycle began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The plan that granted the credits, or whose credits lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The purchase that brought the credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase: Option<Id>,
    /// Whether the team bought the credits by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_up: bool,
    /// The hold that was taken, captured from, or given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Id>,
    /// What a hold is for, where it was sized by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// After how many seconds a hold expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u32>,
    /// The monitored account that a month's bill is for. Nobody asked for such a charge by a key of
    /// their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The action of a charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The quantity of a charge, in what the action counts; for a call, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    /// The outcome of a charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether a charge used the team's own key for the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_key: Option<bool>,
    /// The version of the prices that a charge used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// For whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What the caller's own records call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Whether the request named no user, so that `user` is the machine client that sent it. Not stored.
    #[serde(skip)]
    pub names_no_user: bool,
}

/// As serde wants it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(held: &i64) -> bool {
    *held == 0
}

impl Entry {
    /// An entry of 0 credits for a caller's key; what it tells of is left to fill in.
    #[must_use]
    pub fn of_key(team: &TeamId, key: CallerKey, kind: Kind, at: Time) -> Self {
        let CallerKey { key, person } = key;
        Self { key: Some(key), person, ..Self::empty(team, kind, at) }.named()
    }

    /// An entry of 0 credits for the change that began an epoch.
    #[must_use]
    pub fn of_epoch(team: &TeamId, kind: Kind, epoch: u64, at: Time) -> Self {
        Self { epoch: Some(epoch), ..Self::empty(team, kind, at) }.named()
    }

    /// An entry of 0 credits for the bill of a monitored account, under a key that no caller's can
    /// be.
    #[must_use]
    pub fn of_account(team: &TeamId, account: AccountId, key: Key, at: Time) -> Self {
        let account = Some(account);
        Self { key: Some(key), account, ..Self::empty(team, Kind::Charge, at) }.named()
    }

    /// An entry of 0 credits for the order of a purchase; that of an automatic top-up is under a key
    /// that no caller's can be.
    #[must_use]
    pub fn of_order(team: &TeamId, key: CallerKey, top_up: bool, at: Time) -> Self {
        let CallerKey { key, person } = key;
        Self { key: Some(key), person, top_up, ..Self::empty(team, Kind::Order, at) }.named()
    }

    /// An entry of 0 credits for a purchase that was paid.
    #[must_use]
    pub fn of_purchase(team: &TeamId, purchase: Id, at: Time) -> Self {
        Self { purchase: Some(purchase), ..Self::empty(team, Kind::Purchase, at) }.named()
    }

    /// An entry of 0 credits for the end of a hold that nobody asked for by a key.
    #[must_use]
    pub fn of_hold(team: &TeamId, kind: Kind, hold: Id, at: Time) -> Self {
        Self { hold: Some(hold), ..Self::empty(team, kind, at) }.named()
    }

    fn empty(team: &TeamId, kind: Kind, at: Time) -> Self {
        Self {
            id: Id::of("e", team, ""),
            team: team.clone(),
            kind,
            at,
            credits: 0,
            held: 0,
            key: None,
            person: None,
            epoch: None,
            plan: None,
            purchase: None,
            top_up: false,
            hold: None,
            work: None,
            expires_in: None,
            account: None,
            action: None,
            quantity: None,
            outcome: None,
            own_key: None,
            price_version: None,
            user: None,
            reference: None,
            names_no_user: false,
        }
    }

    fn named(self) -> Self {
        Self { id: Id::of("e", &self.team, &self.source()), ..self }
    }

    /// What the pool or the hold pays for it.
    #[must_use]
    pub const fn spent(&self) -> Credits {
        Credits::new(self.credits.unsigned_abs())
    }

    /// What the entry came from, unique within the team: a caller's key in its key space, a monitored
    /// account's bill, an automatic top-up, a purchase that was paid, an epoch's change, or the end of a
    /// hold. All operations share a caller's keys, so one key means one operation; no caller can take
    /// the key of a bill or of a top-up.
    #[must_use]
    pub fn source(&self) -> String {
        let kind = self.kind.as_str();
        if let (Kind::Purchase, Some(purchase)) = (&self.kind, &self.purchase) {
            return format!("purchase#{purchase}");
        }
        match (&self.account, &self.key, &self.hold) {
            (Some(_), Some(key), _) => format!("account#{key}"),
            (None, Some(key), _) if self.top_up => format!("top-up#{key}"),
            (None, Some(key), _) => {
                CallerKey { key: key.clone(), person: self.person.clone() }.source()
            }
            (_, None, Some(hold)) => format!("{kind}#{hold}"),
            (_, None, None) => format!("{kind}#{}", self.epoch.unwrap_or_default()),
        }
    }

    /// Whether this entry is the answer to the request that `asked` was made from: everything is equal
    /// except for the time and the price in force. A machine client that names no user repeats the
    /// request of any machine client of the team.
    #[must_use]
    pub fn answers(&self, asked: &Self) -> bool {
        let by_price = matches!(self.kind, Kind::Charge | Kind::Capture) || self.work.is_some();
        let (credits, held) =
            if by_price { (self.credits, self.held) } else { (asked.credits, asked.held) };
        let is_any_user = asked.names_no_user && asked.person.is_none();
        let asked_then = Self {
            at: self.at,
            user: if is_any_user { self.user.clone() } else { asked.user.clone() },
            names_no_user: self.names_no_user,
            credits,
            held,
            price_version: self.price_version.clone(),
            ..asked.clone()
        };
        *self == asked_then
    }
}
