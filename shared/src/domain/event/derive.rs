//! The events and the statement of a record of the table's stream.
//!
//! Events are derived from the stream, not published by the writer, so a crash after a write loses none. The stream may
//! repeat a record, and the bus an event; equal records have equal events with equal ids.

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::event::{Detail, Event};
use crate::domain::ids::{Id, TeamId};
use crate::domain::ledger::entry::{Details, Entry, Lapsed, OfCycle, Purchased};
use crate::domain::monitored_account::{self, MonitoredAccount};
use crate::domain::payment::{Disputed, Unassigned};
use crate::domain::pool::Pool;
use crate::domain::pool::refusal::StoredRefusal;
use crate::domain::purchase::{Purchase, PurchaseStatus};
use crate::domain::settings::AutoTopUp;
use crate::domain::statement::Statement;
use crate::domain::time::Time;

/// An item of the table before and after a write of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images<T> {
    /// The item before the write, if it existed.
    pub before: Option<T>,
    /// The item after the write.
    pub after: T,
}

/// A write of an item that may have events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Record {
    /// A ledger entry was written.
    Entry(Images<Entry>),
    /// A purchase was written.
    Purchase(Images<Purchase>),
    /// A pool was written.
    Pool(Images<Pool>),
    /// A monitored account was written.
    Account(Images<MonitoredAccount>),
}

/// The position of a record in the stream.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its sequence number, which is unique.
    pub number: &'a str,
    /// The time of the write.
    pub at: Time,
}

/// The events of a record.
///
/// # Errors
/// [`TooMany`] if the credits of a pool are more than [`Credits::MAX`].
pub fn events(record: &Record, place: Place<'_>) -> Result<Vec<Event>, TooMany> {
    Ok(match record {
        Record::Entry(images) => of_entry(images).into_iter().collect(),
        Record::Purchase(images) => of_purchase(images),
        Record::Pool(images) => of_pool(images, place)?,
        Record::Account(images) => of_account(images, place).into_iter().collect(),
    })
}

/// The statement of the cycle that a write of a pool has ended, if it has.
///
/// # Errors
/// [`TooMany`] if an amount is larger than [`Credits::MAX`].
pub fn statement(record: &Record) -> Result<Option<Statement>, TooMany> {
    match record {
        Record::Pool(Images { before: Some(before), after }) => Statement::of(before, after),
        Record::Pool(_) | Record::Entry(_) | Record::Purchase(_) | Record::Account(_) => Ok(None),
    }
}

/// The events of a pool. The same may happen again, so their ids contain the position in the stream.
fn of_pool(
    Images { before, after }: &Images<Pool>,
    place: Place<'_>,
) -> Result<Vec<Event>, TooMany> {
    let Some(before) = before else { return Ok(Vec::new()) };
    let credits = after.all_credits()?;
    let mut details = Vec::new();
    if after.is_low() && !before.is_low() {
        let threshold = after.settings.low_balance_threshold;
        details.push((place.at, Detail::Low { credits, threshold }));
    }
    if let Some(wanted) = after.wanted_top_up().filter(|_| is_top_up_due(before, after)) {
        let AutoTopUp { below, credits: top_up, .. } = wanted;
        details.push((place.at, Detail::TopUpDue { credits, below, top_up }));
    }
    if let Some(refused) = after.refused.clone().filter(|_| after.refused != before.refused) {
        let StoredRefusal { at, action, required } = refused;
        details.push((at, Detail::Refused { credits, action, required }));
    }
    match (before.paused_at, after.paused_at) {
        (None, Some(at)) => {
            details.extend([
                (at, Detail::Depleted { credits }),
                (at, Detail::EnrichmentPaused { credits }),
            ]);
        }
        (Some(_), None) => details.push((place.at, Detail::EnrichmentRestarted { credits })),
        (None, None) | (Some(_), Some(_)) => {}
    }
    let events = details.into_iter();
    Ok(events.map(|(at, detail)| event(&after.team, at, place.number, detail)).collect())
}

/// Whether a wanted top-up was not wanted before, or has waited for a purchase that is no longer pending. A top-up that
/// is still wanted is not due again, unless its monthly limit was raised.
fn is_top_up_due(before: &Pool, after: &Pool) -> bool {
    if after.top_up_waits && before.pending_purchases > 0 && after.pending_purchases == 0 {
        return true;
    }
    let limit = |pool: &Pool| pool.wanted_top_up().map(|wanted| wanted.monthly_limit);
    limit(before) < limit(after)
}

fn of_account(
    Images { before, after }: &Images<MonitoredAccount>,
    place: Place<'_>,
) -> Option<Event> {
    let was_active = before
        .as_ref()
        .is_some_and(|account| account.status == monitored_account::MonitoringStatus::Active);
    let MonitoredAccount { id, team, paid_until, version, .. } = after;
    let detail = Detail::MonitoringPaused { account: id.clone(), paid_until: *paid_until };
    (was_active && after.status == monitored_account::MonitoringStatus::Paused)
        .then(|| event(team, place.at, &format!("{id}#{version}"), detail))
}

/// The event of an entry, which is written once and never changed.
fn of_entry(Images { before, after: entry }: &Images<Entry>) -> Option<Event> {
    if before.is_some() {
        return None;
    }
    let detail = entry_detail(entry.clone())?;
    Some(event(&entry.team, entry.at, entry.id.as_str(), detail))
}

/// The detail of an entry's event. The taking of a hold and its release by its owner have no event.
fn entry_detail(entry: Entry) -> Option<Detail> {
    let (credits, hold) = (entry.amount(), entry.hold().cloned());
    let Entry { id, key, person, user, reference, held, details, .. } = entry;
    Some(match details {
        Details::Charge(charged) | Details::Capture { charged, .. } => Detail::Charged {
            entry: id,
            key,
            person,
            credits,
            action: Some(charged.action),
            quantity: Some(charged.quantity),
            outcome: charged.outcome,
            own_key: Some(charged.own_key),
            price_version: charged.price_version,
            user,
            reference,
            hold,
        },
        Details::Purchase(Purchased { purchase, amount, top_up, .. }) => {
            let purchase = Some(purchase);
            Detail::Purchased { entry: id, purchase, key, credits, amount, user, top_up }
        }
        Details::Gift {} => Detail::Gifted { entry: id, key, credits, user, reference },
        Details::Dispute(Disputed { purchase, amount, cause, .. }) => {
            Detail::PurchaseDisputed { entry: id, purchase, amount, cause, user }
        }
        Details::Grant(OfCycle { plan, .. }) => Detail::Refilled { entry: id, credits, plan },
        Details::Expiry(Lapsed::Cycle(OfCycle { plan, .. })) => {
            Detail::Expired { entry: id, credits, plan, hold }
        }
        Details::Expiry(Lapsed::Hold { .. }) => {
            Detail::Expired { entry: id, credits, plan: None, hold }
        }
        // Only a release by expiry has no key.
        Details::Release { .. } if key.is_none() => {
            let credits = Credits::of_change(held);
            Detail::HoldExpired { entry: id, hold, credits, reference }
        }
        Details::Release { .. }
        | Details::Hold { .. }
        | Details::Order(_)
        | Details::Other { .. } => return None,
    })
}

fn of_purchase(Images { before, after }: &Images<Purchase>) -> Vec<Event> {
    failed(before.as_ref(), after).into_iter().chain(unassigned(before.as_ref(), after)).collect()
}

fn failed(before: Option<&Purchase>, after: &Purchase) -> Option<Event> {
    let had_failed = before.is_some_and(|purchase| purchase.status == PurchaseStatus::Failed);
    if had_failed || after.status != PurchaseStatus::Failed {
        return None;
    }
    let Purchase { id, team, key, user, top_up, credits, amount, at, reason, .. } = after.clone();
    let detail =
        Detail::PurchaseFailed { purchase: id, key, credits, amount, user, top_up, reason };
    Some(event(&team, at, after.id.as_str(), detail))
}

/// The event of money that needs manual handling. Its id is a function of the payment.
fn unassigned(before: Option<&Purchase>, after: &Purchase) -> Option<Event> {
    let known = before.and_then(|purchase| purchase.unassigned.as_ref());
    let Unassigned { payment, amount, reason } =
        after.unassigned.clone().filter(|unassigned| known != Some(unassigned))?;
    let source = format!("{}#{payment}", after.id);
    let detail = Detail::PurchaseUnassigned { purchase: after.id.clone(), payment, amount, reason };
    Some(event(&after.team, after.at, &source, detail))
}

fn event(team: &TeamId, at: Time, source: &str, detail: Detail) -> Event {
    let id = Id::of("ev", team, &format!("{}#{source}", detail.kind()));
    Event { id, team: team.clone(), at, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::prices;
    use crate::domain::ids::CallerKey;
    use crate::domain::ledger::entry::Charged;
    use crate::domain::payment::DisputeCause;

    fn team() -> TeamId {
        "t".parse().unwrap()
    }

    fn at() -> Time {
        "2027-01-31T10:00:00Z".parse().unwrap()
    }

    fn key() -> CallerKey {
        CallerKey::of_machine("k".parse().unwrap())
    }

    fn entry(details: Details, key: Option<CallerKey>) -> Entry {
        Entry::new(&team(), key, details, at())
    }

    fn charged() -> Charged {
        let action = "email_finder".to_owned();
        let (outcome, price_version, account) = (None, None, None);
        let (names_no_outcome, own_key) = (false, false);
        Charged { action, quantity: 1, outcome, names_no_outcome, own_key, price_version, account }
    }

    fn hold() -> Id {
        Id::of("h", &team(), "job")
    }

    fn written(entry: Entry) -> Record {
        Record::Entry(Images { before: None, after: entry })
    }

    fn of(change: &Record) -> Vec<Event> {
        events(change, Place { number: "7", at: at() }).unwrap()
    }

    fn kinds(change: &Record) -> Vec<&'static str> {
        of(change).iter().map(|event| event.detail.kind()).collect()
    }

    #[test]
    fn every_kind_of_entry_has_its_event_or_none() {
        let purchased = || Purchased {
            purchase: Id::of("p", &team(), "k"),
            amount: prices().credit,
            top_up: false,
            recorded: false,
        };
        let disputed = Disputed {
            purchase: Id::of("p", &team(), "k"),
            object: "ch_1".parse().unwrap(),
            amount: prices().credit,
            cause: DisputeCause::Chargeback,
        };
        let cycle = OfCycle { epoch: 1, plan: None };
        for (details, key, kind) in [
            (Details::Charge(charged()), Some(key()), Some("credits.charged")),
            (
                Details::Capture { hold: hold(), charged: charged() },
                Some(key()),
                Some("credits.charged"),
            ),
            (Details::Hold { hold: hold(), expires_in: 60, work: None }, Some(key()), None),
            (Details::Release { hold: hold() }, Some(key()), None),
            (Details::Release { hold: hold() }, None, Some("hold.expired")),
            (Details::Order(purchased()), Some(key()), None),
            (Details::Purchase(purchased()), Some(key()), Some("credits.purchased")),
            (Details::Gift {}, Some(key()), Some("credits.gifted")),
            (Details::Dispute(disputed), None, Some("purchase.disputed")),
            (Details::Grant(cycle.clone()), None, Some("credits.refilled")),
            (Details::Expiry(Lapsed::Cycle(cycle)), None, Some("credits.expired")),
            (Details::Expiry(Lapsed::Hold { hold: hold() }), None, Some("credits.expired")),
            (Details::Other { kind: "transfer".to_owned() }, None, None),
        ] {
            let change = written(entry(details.clone(), key));
            assert_eq!(kinds(&change), kind.into_iter().collect::<Vec<_>>(), "{details:?}");
        }
    }

    #[test]
    fn a_purchase_has_an_event_when_it_fails() {
        let offer = prices().offer(Credits::new(402)).unwrap();
        let asked = Purchase::new(&team(), key(), "u".parse().unwrap(), offer, at());
        let of_status = |status| Purchase { status, ..asked.clone() };
        let (pending, paid, failed) =
            (PurchaseStatus::Pending, PurchaseStatus::Paid, PurchaseStatus::Failed);
        for (before, after, has_event) in [
            (None, pending, false),
            (Some(pending), paid, false),
            (Some(pending), failed, true),
            (Some(failed), failed, false),
        ] {
            let images = Images { before: before.map(of_status), after: of_status(after) };
            let events = of(&Record::Purchase(images));
            assert_eq!(!events.is_empty(), has_event, "{before:?} {after:?}");
        }
    }

    #[test]
    fn unassigned_money_has_an_event_for_each_payment() {
        let offer = prices().offer(Credits::new(402)).unwrap();
        let asked = Purchase::new(&team(), key(), "u".parse().unwrap(), offer, at());
        let with = |payment: Option<&str>| Purchase {
            unassigned: payment.map(|payment| Unassigned {
                payment: payment.parse().unwrap(),
                amount: asked.amount,
                reason: "the account was closed".to_owned(),
            }),
            ..asked.clone()
        };
        for (before, after, events) in
            [(None, None, 0), (None, Some("pi_1"), 1), (Some("pi_1"), Some("pi_1"), 0)]
        {
            let images = Images { before: Some(with(before)), after: with(after) };
            assert_eq!(of(&Record::Purchase(images)).len(), events, "{before:?} {after:?}");
        }
        let after = |payment| of(&Record::Purchase(Images { before: None, after: with(payment) }));
        assert_ne!(after(Some("pi_1")), after(Some("pi_2")));
        assert_eq!(after(Some("pi_1"))[0].detail.kind(), "purchase.unassigned");
    }

    fn pool(credits: u64, paused: bool, refused: Option<&str>) -> Pool {
        let mut pool = Pool::open(team());
        pool.balance.credits = Credits::new(credits);
        pool.paused_at = paused.then(at);
        let required = Credits::new(5_000);
        pool.refused =
            refused.map(|action| StoredRefusal { at: at(), action: action.to_owned(), required });
        pool
    }

    /// The threshold is 100.
    #[test]
    fn a_change_of_a_pool_has_an_event_when_it_begins() {
        let low = ["credits.low"].as_slice();
        let out = &["credits.refused", "credits.depleted", "enrichment.paused"];
        let (none, sms, email) = (None, Some("sms"), Some("email_finder"));
        for (before, after, expected) in [
            ((400, false, none), (100, false, none), &[][..]),
            ((100, false, none), (99, false, none), low),
            ((99, false, none), (5, false, none), &[]),
            ((99, false, none), (4_000, false, none), &[]),
            ((400, false, none), (400, false, sms), &["credits.refused"]),
            ((400, false, sms), (395, false, sms), &[]),
            ((400, false, none), (400, true, email), out),
            ((400, false, sms), (400, true, email), out),
            ((400, true, email), (4_000, true, none), &[]),
            ((400, true, none), (400, true, sms), &["credits.refused"]),
            ((400, true, email), (400, false, none), &["enrichment.restarted"]),
        ] {
            let of = |(credits, paused, refused)| pool(credits, paused, refused);
            let change = Record::Pool(Images { before: Some(of(before)), after: of(after) });
            assert_eq!(kinds(&change), expected, "{before:?} {after:?}");
        }
        assert!(
            kinds(&Record::Pool(Images { before: None, after: pool(0, false, none) })).is_empty()
        );
    }

    #[test]
    fn a_top_up_is_due_when_credits_fall_below_or_it_is_turned_on_while_they_are() {
        let chosen = |below| AutoTopUp {
            below: Credits::new(below),
            credits: Credits::new(200),
            monthly_limit: Credits::new(2_000),
        };
        let of = |(credits, below, failed): (u64, Option<u64>, bool)| {
            let mut pool = pool(credits, false, None);
            pool.settings.low_balance_threshold = Credits::ZERO;
            pool.settings.auto_top_up = below.map(chosen);
            pool.failed_top_up = failed.then(|| Id::of("t", &team(), "1"));
            pool
        };
        for (before, after, is_due) in [
            ((500, None, false), (499, None, false), false),
            ((500, Some(500), false), (499, Some(500), false), true),
            ((499, Some(500), false), (300, Some(500), false), false),
            ((499, Some(500), false), (499, Some(500), true), false),
            ((500, Some(500), true), (499, Some(500), true), false),
            ((499, Some(500), true), (499, Some(500), false), true),
            ((499, None, false), (499, Some(500), false), true),
            ((499, Some(500), false), (499, Some(600), false), false),
            ((499, Some(500), false), (499, Some(400), false), false),
            ((499, Some(500), false), (499, None, false), false),
        ] {
            let change = Record::Pool(Images { before: Some(of(before)), after: of(after) });
            let expected = if is_due { &["top-up.due"][..] } else { &[] };
            assert_eq!(kinds(&change), expected, "{before:?} {after:?}");
        }
        let below = of((499, Some(500), false));
        for (limit, is_due) in [(1_999, false), (2_000, false), (2_001, true)] {
            let mut after = below.clone();
            after.settings.auto_top_up =
                Some(AutoTopUp { monthly_limit: Credits::new(limit), ..chosen(500) });
            let change = Record::Pool(Images { before: Some(below.clone()), after });
            assert_eq!(!kinds(&change).is_empty(), is_due, "{limit}");
        }
    }

    #[test]
    fn credits_in_lanes_are_not_gone() {
        let (mut before, mut after) = (pool(400, false, None), pool(80, false, None));
        after.lanes = Credits::new(320);
        let taken = Record::Pool(Images { before: Some(before.clone()), after: after.clone() });
        assert!(kinds(&taken).is_empty());
        before = after.clone();
        after.lanes = Credits::ZERO;
        let given_back = Record::Pool(Images { before: Some(before), after });
        assert_eq!(kinds(&given_back), ["credits.low"]);
    }

    #[test]
    fn a_repeated_change_has_another_event() {
        let images = Images { before: Some(pool(100, false, None)), after: pool(99, false, None) };
        let change = Record::Pool(images);
        let id = |number| events(&change, Place { number, at: at() }).unwrap()[0].id.clone();
        assert_ne!(id("1"), id("2"));
        assert_eq!(id("1"), id("1"));
    }

    #[test]
    fn an_account_has_an_event_when_it_is_paused() {
        use monitored_account::MonitoringStatus::{Active, Paused, Removed};
        let account = |status| {
            let new = MonitoredAccount::new(team(), "acme".parse().unwrap(), at().day());
            MonitoredAccount { status, ..new }
        };
        for (before, after, has_event) in [
            (None, Active, false),
            (Some(Active), Paused, true),
            (Some(Paused), Paused, false),
            (Some(Paused), Active, false),
            (Some(Active), Removed, false),
        ] {
            let images = Images { before: before.map(account), after: account(after) };
            assert_eq!(kinds(&Record::Account(images)).len(), usize::from(has_event));
        }
    }

    #[test]
    fn an_id_comes_from_the_kind_and_the_entry() {
        let charge = entry(Details::Charge(charged()), Some(key()));
        let events = of(&written(charge.clone()));
        let id = Id::of("ev", &team(), &format!("credits.charged#{}", charge.id));
        assert_eq!((&events[0].id, events[0].at), (&id, at()));
        // An expiry and the release that it came with name the same hold.
        let [lapsed, released] =
            [Details::Expiry(Lapsed::Hold { hold: hold() }), Details::Release { hold: hold() }]
                .map(|details| of(&written(entry(details, None))).remove(0));
        assert_ne!(lapsed.id, released.id);
    }

    #[test]
    fn credits_of_events_are_positive() {
        let charge = Entry { credits: -5, ..entry(Details::Charge(charged()), Some(key())) };
        let release = Entry { held: -495, ..entry(Details::Release { hold: hold() }, None) };
        for (entry, credits) in [(charge, 5), (release, 495)] {
            let events = serde_json::to_value(of(&written(entry))).unwrap();
            assert_eq!(events[0]["credits"], credits, "{events}");
        }
    }
}
