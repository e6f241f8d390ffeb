//! Events for other systems. [`mod@derive`] makes them from the changes of items.

pub mod derive;

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::ids::{AccountId, Id, Key, Reference, TeamId, UserId};
use crate::domain::purchase::Amount;
use crate::domain::time::Time;

/// Whose events they are, on a bus that others use as well.
pub const SOURCE: &str = "credits";

/// The kind of the event that an automatic top-up follows from.
pub const TOP_UP_DUE: &str = "top-up.due";

/// Something that other systems want to know. Serialised, it is what they get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its id, made from its kind and what it tells of.
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// When it happened; of a purchase that failed, when it was asked for.
    pub at: Time,
    /// What happened.
    #[serde(flatten)]
    pub detail: Detail,
}

/// What happened. All credits are positive numbers; a field that does not apply is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// An action was charged to the pool or to a hold, perhaps with 0 credits.
    Charged {
        /// The ledger entry.
        entry: Id,
        /// The caller's idempotency key.
        key: Option<Key>,
        /// The person in whose key space the key is; none for a machine client's.
        person: Option<UserId>,
        /// What it cost.
        credits: Credits,
        /// The action, as the catalogue names it.
        action: Option<String>,
        /// The quantity, in what the action counts; for a call, in seconds.
        quantity: Option<u64>,
        /// The outcome.
        outcome: Option<String>,
        /// Whether the team's own key for the provider was used.
        own_key: Option<bool>,
        /// The version of the prices that it used.
        price_version: Option<String>,
        /// For whom it was done.
        user: Option<UserId>,
        /// What the caller's own records call it.
        reference: Option<Reference>,
        /// The hold that it was captured from.
        hold: Option<Id>,
    },
    /// A purchase was paid and its credits are in the pool.
    Purchased {
        /// The ledger entry.
        entry: Id,
        /// The purchase.
        purchase: Option<Id>,
        /// The caller's idempotency key; of an automatic top-up, the id of the event that it follows
        /// from.
        key: Option<Key>,
        /// The credits bought.
        credits: Credits,
        /// What they cost.
        amount: Amount,
        /// The admin who bought; nobody in an automatic top-up.
        user: Option<UserId>,
        /// Whether the team bought them by itself.
        top_up: bool,
    },
    /// Support staff gave credits.
    Gifted {
        /// The ledger entry.
        entry: Id,
        /// The caller's idempotency key.
        key: Option<Key>,
        /// The credits given.
        credits: Credits,
        /// Who gave them.
        user: Option<UserId>,
        /// Why, or for which ticket.
        reference: Option<Reference>,
    },
    /// The plan brought free credits.
    Refilled {
        /// The ledger entry.
        entry: Id,
        /// The credits granted.
        credits: Credits,
        /// The plan.
        plan: Option<String>,
    },
    /// Free credits lapsed.
    Expired {
        /// The ledger entry.
        entry: Id,
        /// The credits that lapsed.
        credits: Credits,
        /// The plan that had granted them, where they lapsed at the end of its cycle.
        plan: Option<String>,
        /// The hold that they came back from after their cycle, where they lapsed by that.
        hold: Option<Id>,
    },
    /// A hold was given back because its time was over.
    HoldExpired {
        /// The ledger entry.
        entry: Id,
        /// The hold.
        hold: Option<Id>,
        /// What had not been captured from it.
        credits: Credits,
        /// What the caller's own records call the hold.
        reference: Option<Reference>,
    },
    /// The credits fell below the team's threshold.
    Low {
        /// The credits that are left.
        credits: Credits,
        /// The threshold.
        threshold: Credits,
    },
    /// The credits fell below where the team wants more to be bought by itself; or an admin has turned
    /// that on, or raised its limit, while they are. The purchase that follows keeps to the limit.
    TopUpDue {
        /// The credits that are left.
        credits: Credits,
        /// Where the team wants more.
        below: Credits,
        /// The credits that are to be bought.
        top_up: Credits,
    },
    /// A charge was refused because credits were missing: the first one since credits last came in,
    /// or the one that paused enrichment.
    Refused {
        /// The credits that there are.
        credits: Credits,
        /// What was to be charged.
        action: String,
        /// What it would have cost.
        required: Credits,
    },
    /// Credits have run out for enrichment: the first charge of it was refused.
    Depleted {
        /// The credits that are left.
        credits: Credits,
    },
    /// Enrichment is paused for the whole team.
    EnrichmentPaused {
        /// The credits that are left.
        credits: Credits,
    },
    /// Somebody has restarted enrichment.
    EnrichmentRestarted {
        /// The credits that there are.
        credits: Credits,
    },
    /// The team could not pay the month of a monitored account, which is paused.
    MonitoringPaused {
        /// The account.
        account: AccountId,
        /// The first day that is not paid for.
        paid_until: Date,
    },
    /// The payment of a purchase failed for good.
    PurchaseFailed {
        /// The purchase.
        purchase: Id,
        /// The caller's idempotency key; of an automatic top-up, the id of the event that it follows
        /// from.
        key: Key,
        /// The credits that were asked for.
        credits: Credits,
        /// What they would have cost.
        amount: Amount,
        /// The admin who asked for them; nobody in an automatic top-up.
        user: Option<UserId>,
        /// Whether the team asked for them by itself.
        top_up: bool,
        /// Why, in the payment provider's words.
        reason: Option<String>,
    },
}

impl Detail {
    /// The kind of the event, which the bus calls its detail type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Charged { .. } => "credits.charged",
            Self::Purchased { .. } => "credits.purchased",
            Self::Gifted { .. } => "credits.gifted",
            Self::Refilled { .. } => "credits.refilled",
            Self::Expired { .. } => "credits.expired",
            Self::HoldExpired { .. } => "hold.expired",
            Self::Low { .. } => "credits.low",
            Self::TopUpDue { .. } => TOP_UP_DUE,
            Self::Refused { .. } => "credits.refused",
            Self::Depleted { .. } => "credits.depleted",
            Self::EnrichmentPaused { .. } => "enrichment.paused",
            Self::EnrichmentRestarted { .. } => "enrichment.restarted",
            Self::MonitoringPaused { .. } => "monitoring.paused",
            Self::PurchaseFailed { .. } => "purchase.failed",
        }
    }
}
