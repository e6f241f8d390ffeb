//! Events for other systems: what a change of the table tells them.
//!
//! They are made from the stream of the table and not by whoever writes to it, so none is lost by a
//! crash after a write. The stream may show a change again, and so may the bus an event; the same
//! change always makes the same event with the same id.

use serde::Serialize;

use super::Credits;
use super::entry::{Entry, Kind};
use super::ids::{Id, Key, Reference, TeamId, UserId};
use super::purchase::{Amount, Purchase, Status};
use super::time::Time;

/// Whose events they are, on a bus that others use as well.
pub const SOURCE: &str = "credits";

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
        /// The caller's idempotency key.
        key: Option<Key>,
        /// The credits bought.
        credits: Credits,
        /// What they cost.
        amount: Amount,
        /// The admin who bought.
        user: Option<UserId>,
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
    /// The payment of a purchase failed for good.
    PurchaseFailed {
        /// The purchase.
        purchase: Id,
        /// The caller's idempotency key.
        key: Key,
        /// The credits that were asked for.
        credits: Credits,
        /// What they would have cost.
        amount: Amount,
        /// The admin who asked for them.
        user: UserId,
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
            Self::PurchaseFailed { .. } => "purchase.failed",
        }
    }
}

/// An item of the table before and after a write of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images<T> {
    /// As it was, if it was there.
    pub before: Option<T>,
    /// As it is.
    pub after: T,
}

/// An entry as the table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryImage {
    /// The entry.
    pub entry: Entry,
    /// Whether it is in the history. The entry of a purchase enters it when the money was taken.
    pub is_in_history: bool,
}

/// A change of an item that events may tell of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Change {
    /// A ledger entry was written.
    Entry(Images<EntryImage>),
    /// A purchase was written.
    Purchase(Images<Purchase>),
}

/// The events that tell of a change; none if nothing has happened by it.
#[must_use]
pub fn of(change: &Change) -> Vec<Event> {
    match change {
        Change::Entry(images) => of_entry(images).into_iter().collect(),
        Change::Purchase(images) => of_purchase(images).into_iter().collect(),
    }
}

fn of_entry(Images { before, after }: &Images<EntryImage>) -> Option<Event> {
    let was_in_history = before.as_ref().is_some_and(|image| image.is_in_history);
    if was_in_history || !after.is_in_history {
        return None;
    }
    let entry = &after.entry;
    let detail = match entry.kind {
        Kind::Charge | Kind::Capture => charged(entry.clone()),
        Kind::Purchase => purchased(entry.clone()),
        Kind::Gift => gifted(entry.clone()),
        Kind::Grant => refilled(entry.clone()),
        Kind::Expiry => expired(entry.clone()),
        // Its owner, who gives a hold back, does so with a key.
        Kind::Release if entry.key.is_none() => hold_expired(entry.clone()),
        Kind::Release | Kind::Hold => return None,
    };
    Some(event(&entry.team, entry.at, &entry.id, detail))
}

fn of_purchase(Images { before, after }: &Images<Purchase>) -> Option<Event> {
    let had_failed = before.as_ref().is_some_and(|purchase| purchase.status == Status::Failed);
    if had_failed || after.status != Status::Failed {
        return None;
    }
    let Purchase { id, team, key, user, credits, at, reason, .. } = after.clone();
    let amount = after.amount();
    let detail = Detail::PurchaseFailed { purchase: id, key, credits, amount, user, reason };
    Some(event(&team, at, &after.id, detail))
}

fn event(team: &TeamId, at: Time, tells_of: &Id, detail: Detail) -> Event {
    let id = Id::of("ev", team, &format!("{}#{tells_of}", detail.kind()));
    Event { id, team: team.clone(), at, detail }
}

const fn credits(entry: &Entry) -> Credits {
    Credits::new(entry.credits.unsigned_abs())
}

fn charged(entry: Entry) -> Detail {
    Detail::Charged {
        credits: credits(&entry),
        entry: entry.id,
        key: entry.key,
        action: entry.action,
        quantity: entry.quantity,
        outcome: entry.outcome,
        own_key: entry.own_key,
        price_version: entry.price_version,
        user: entry.user,
        reference: entry.reference,
        hold: entry.hold,
    }
}

fn purchased(entry: Entry) -> Detail {
    let credits = credits(&entry);
    Detail::Purchased {
        entry: entry.id,
        purchase: entry.purchase,
        key: entry.key,
        credits,
        amount: Amount::of(credits),
        user: entry.user,
    }
}

fn gifted(entry: Entry) -> Detail {
    Detail::Gifted {
        credits: credits(&entry),
        entry: entry.id,
        key: entry.key,
        user: entry.user,
        reference: entry.reference,
    }
}

fn refilled(entry: Entry) -> Detail {
    Detail::Refilled { credits: credits(&entry), entry: entry.id, plan: entry.plan }
}

fn expired(entry: Entry) -> Detail {
    Detail::Expired {
        credits: credits(&entry),
        entry: entry.id,
        plan: entry.plan,
        hold: entry.hold,
    }
}

fn hold_expired(entry: Entry) -> Detail {
    Detail::HoldExpired {
        entry: entry.id,
        hold: entry.hold,
        credits: Credits::new(entry.held.unsigned_abs()),
        reference: entry.reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team() -> TeamId {
        "t".parse().unwrap()
    }

    fn at() -> Time {
        "2027-01-31T10:00:00Z".parse().unwrap()
    }

    fn key() -> Key {
        "k".parse().unwrap()
    }

    fn entry(kind: Kind, key: Option<Key>) -> Entry {
        let hold = Id::of("h", &team(), "job");
        match key {
            Some(key) => Entry::of_key(&team(), key, kind, at()),
            None => Entry::of_hold(&team(), kind, hold, at()),
        }
    }

    fn written(before: Option<bool>, entry: &Entry, after: bool) -> Change {
        let image = |is_in_history| EntryImage { entry: entry.clone(), is_in_history };
        Change::Entry(Images { before: before.map(image), after: image(after) })
    }

    fn kinds(change: &Change) -> Vec<&'static str> {
        of(change).iter().map(|event| event.detail.kind()).collect()
    }

    #[test]
    fn every_kind_of_entry_has_its_event_or_none() {
        for (kind, key, told) in [
            (Kind::Charge, Some(key()), Some("credits.charged")),
            (Kind::Capture, Some(key()), Some("credits.charged")),
            (Kind::Hold, Some(key()), None),
            (Kind::Release, Some(key()), None),
            (Kind::Release, None, Some("hold.expired")),
            (Kind::Purchase, Some(key()), Some("credits.purchased")),
            (Kind::Gift, Some(key()), Some("credits.gifted")),
            (Kind::Grant, None, Some("credits.refilled")),
            (Kind::Expiry, None, Some("credits.expired")),
        ] {
            let change = written(None, &entry(kind, key), true);
            assert_eq!(kinds(&change), told.into_iter().collect::<Vec<_>>(), "{kind:?}");
        }
    }

    #[test]
    fn an_entry_is_told_of_when_it_enters_the_history() {
        let entry = entry(Kind::Purchase, Some(key()));
        let table = [
            (None, false, false),
            (None, true, true),
            (Some(false), false, false),
            (Some(false), true, true),
            (Some(true), true, false),
        ];
        for (before, after, is_told) in table {
            let told = !of(&written(before, &entry, after)).is_empty();
            assert_eq!(told, is_told, "{before:?} {after}");
        }
    }

    #[test]
    fn a_purchase_is_told_of_when_it_fails() {
        let asked = Purchase::new(&team(), key(), "u".parse().unwrap(), Credits::new(402), at());
        let of_status = |status| Purchase { status, ..asked.clone() };
        let (pending, paid, failed) = (Status::Pending, Status::Paid, Status::Failed);
        for (before, after, is_told) in [
            (None, pending, false),
            (Some(pending), paid, false),
            (Some(pending), failed, true),
            (Some(failed), failed, false),
        ] {
            let images = Images { before: before.map(of_status), after: of_status(after) };
            let told = of(&Change::Purchase(images));
            assert_eq!(!told.is_empty(), is_told, "{before:?} {after:?}");
        }
    }

    #[test]
    fn an_id_comes_from_the_kind_and_the_entry() {
        let charge = entry(Kind::Charge, Some(key()));
        let told = of(&written(None, &charge, true));
        let id = Id::of("ev", &team(), &format!("credits.charged#{}", charge.id));
        assert_eq!((&told[0].id, told[0].at), (&id, at()));
        // An expiry and the release that it came with tell of the same hold.
        let [lapsed, released] = [Kind::Expiry, Kind::Release]
            .map(|kind| of(&written(None, &entry(kind, None), true)).remove(0));
        assert_ne!(lapsed.id, released.id);
    }

    #[test]
    fn credits_are_positive_whichever_way_they_went() {
        let charge = Entry { credits: -5, ..entry(Kind::Charge, Some(key())) };
        let release = Entry { held: -495, ..entry(Kind::Release, None) };
        for (entry, credits) in [(charge, 5), (release, 495)] {
            let told = serde_json::to_value(of(&written(None, &entry, true))).unwrap();
            assert_eq!(told[0]["credits"], credits, "{told}");
        }
    }
}
