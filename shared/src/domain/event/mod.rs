//! Events for other systems. [`mod@derive`] derives them from the changes of items.

pub mod derive;

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::Credits;
use crate::domain::ids::{AccountId, Id, Key, ProviderId, Reference, TeamId, UserId};
use crate::domain::money::Amount;
use crate::domain::payment::DisputeCause;
use crate::domain::time::Time;

/// The source of the events on the bus.
pub const SOURCE: &str = "credits";

/// The kind of the event that begins an automatic top-up.
pub const TOP_UP_DUE: &str = "top-up.due";

/// An event. Its serialised form is the detail of the message on the bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The id, a function of the kind and the source of the event.
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// The time of the event; of a failed purchase, the time of its request.
    pub at: Time,
    /// The kind and its fields.
    #[serde(flatten)]
    pub detail: Detail,
}

/// The kind of an event and its fields. All credits are positive numbers; a field that does not apply
/// is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// An action was charged to the pool or to a hold. The cost may be 0 credits.
    Charged {
        /// The ledger entry.
        entry: Id,
        /// The caller's idempotency key.
        key: Option<Key>,
        /// The person of the key space; null for a machine client.
        person: Option<UserId>,
        /// The cost.
        credits: Credits,
        /// The action, as the catalogue names it.
        action: Option<String>,
        /// The quantity in units of the action; in seconds if started minutes are charged.
        quantity: Option<u64>,
        /// The outcome.
        outcome: Option<String>,
        /// Whether the team's own key for the provider was used.
        own_key: Option<bool>,
        /// The version of the price list.
        price_version: Option<String>,
        /// The user that the charge belongs to.
        user: Option<UserId>,
        /// The caller's reference.
        reference: Option<Reference>,
        /// The hold of a capture.
        hold: Option<Id>,
    },
    /// A purchase was paid and its credits were added to the pool.
    Purchased {
        /// The ledger entry.
        entry: Id,
        /// The purchase.
        purchase: Option<Id>,
        /// The caller's idempotency key; of an automatic top-up, the id of the `top-up.due` event.
        key: Option<Key>,
        /// The credits.
        credits: Credits,
        /// The price.
        amount: Amount,
        /// The admin that bought them; null for an automatic top-up.
        user: Option<UserId>,
        /// Whether it is an automatic top-up.
        top_up: bool,
    },
    /// Support staff gifted credits.
    Gifted {
        /// The ledger entry.
        entry: Id,
        /// The caller's idempotency key.
        key: Option<Key>,
        /// The credits.
        credits: Credits,
        /// The giver.
        user: Option<UserId>,
        /// The reason or the ticket.
        reference: Option<Reference>,
    },
    /// Free credits were granted.
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
        /// The plan that had granted them, if they lapsed with its cycle.
        plan: Option<String>,
        /// The hold that returned them, if they lapsed because their cycle was over.
        hold: Option<Id>,
    },
    /// A hold expired, and its remaining credits returned to the pool.
    HoldExpired {
        /// The ledger entry.
        entry: Id,
        /// The hold.
        hold: Option<Id>,
        /// The credits that were not captured.
        credits: Credits,
        /// The caller's reference of the hold.
        reference: Option<Reference>,
    },
    /// The credits are below the team's threshold and were not before.
    Low {
        /// The credits that are left.
        credits: Credits,
        /// The threshold.
        threshold: Credits,
    },
    /// An automatic top-up is due: the credits fell below its threshold, an admin turned it on or
    /// raised its monthly limit while they are below, or the pending purchase that it waited for has
    /// ended.
    TopUpDue {
        /// The credits that are left.
        credits: Credits,
        /// The threshold of the automatic top-up.
        below: Credits,
        /// The credits to buy.
        top_up: Credits,
    },
    /// A charge was refused for lack of credits: the first one since credits were last added, or the
    /// one that paused enrichment.
    Refused {
        /// The credits that are left.
        credits: Credits,
        /// The action of the refused charge.
        action: String,
        /// Its cost.
        required: Credits,
    },
    /// An enrichment charge was refused, and the credits do not cover one unit of its action.
    Depleted {
        /// The credits that are left.
        credits: Credits,
    },
    /// Enrichment is paused for the whole team.
    EnrichmentPaused {
        /// The credits that are left.
        credits: Credits,
    },
    /// Enrichment was restarted.
    EnrichmentRestarted {
        /// The credits that are left.
        credits: Credits,
    },
    /// A monitored account is paused because the credits do not cover its month.
    MonitoringPaused {
        /// The account.
        account: AccountId,
        /// The first unpaid day.
        paid_until: Date,
    },
    /// The payment of a purchase failed permanently.
    PurchaseFailed {
        /// The purchase.
        purchase: Id,
        /// The caller's idempotency key; of an automatic top-up, the id of the `top-up.due` event.
        key: Key,
        /// The credits of the purchase.
        credits: Credits,
        /// Its price.
        amount: Amount,
        /// The admin that requested it; null for an automatic top-up.
        user: Option<UserId>,
        /// Whether it is an automatic top-up.
        top_up: bool,
        /// The reason in plain words.
        reason: Option<String>,
    },
    /// Money of a purchase went back to the customer. The credits stay; an operator decides on them.
    PurchaseDisputed {
        /// The ledger entry.
        entry: Id,
        /// The purchase.
        purchase: Id,
        /// The money that went back.
        amount: Amount,
        /// Why it went back.
        cause: DisputeCause,
        /// The admin that bought the credits; null for an automatic top-up.
        user: Option<UserId>,
    },
    /// Money was taken for a closed account, or by a payment that does not match its purchase. It needs manual
    /// handling.
    PurchaseUnassigned {
        /// The purchase.
        purchase: Id,
        /// The payment, as the payment provider identifies it.
        payment: ProviderId,
        /// The money.
        amount: Amount,
        /// The reason in plain words.
        reason: String,
    },
}

impl Detail {
    /// The kind of the event: the detail type on the bus.
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
            Self::PurchaseDisputed { .. } => "purchase.disputed",
            Self::PurchaseUnassigned { .. } => "purchase.unassigned",
        }
    }
}
