//! Requests and messages about a subscription: start, change of plan or seats, cancellation, closing.
//!
//! Messages carry a version. They lead to the same terms in any order of arrival, and a repeated
//! message changes nothing.

use crate::domain::catalogue::Catalogue;
use crate::domain::credits::TooMany;
use crate::domain::pool::balance::BalanceChange;
use crate::domain::pool::{Account, NextSubscription, Pool, Terms};
use crate::domain::subscription::terms::{Change, granted};
use crate::domain::subscription::{Subscription, SubscriptionRequest, check_version};
use crate::domain::time::Time;
use crate::domain::{Error, Resource};

/// The most versions of messages with a later start that a pool stores.
const SCHEDULED_VERSIONS_MAX: usize = 8;

impl Pool {
    /// The change of a request: seats or a revoked cancellation of the current subscription, a new
    /// subscription in its place, or one that starts later. `None` if nothing changes.
    ///
    /// A message that is older than the newest one changes nothing, with three exceptions. Seats that
    /// it adds within the current cycle are granted. Its start schedules or begins a subscription if
    /// no newer message has a start. And if it begins a subscription whose cancellation arrived
    /// before, the subscription is cancelled.
    ///
    /// # Errors
    /// [`Error::Invalid`] for terms that the plan or the account does not allow;
    /// [`Error::AccountClosed`].
    pub fn subscribe(
        &self,
        request: &SubscriptionRequest,
        catalogue: &Catalogue,
        now: Time,
    ) -> Result<Option<Change>, Error> {
        request.check(now)?;
        let version = request.version;
        if self.terms.account == Account::Closed && self.is_late(request) {
            return Ok(None);
        }
        self.check_open()?;
        let account_created_at = self.account_created_at(request)?;
        let mut terms = Terms { account_created_at, ..self.terms.clone() };
        if self.has_newest_start(request) {
            terms.start_version = version.or(terms.start_version);
            terms.scheduled = None;
        }
        if request.starts_later(now) {
            if self.has_newest_start(request) {
                schedule(&mut terms, request.subscription(catalogue, now)?, version);
            }
            return Ok(self.with_terms(terms, now));
        }
        if self.has_scheduled(request) {
            // Its subscription is scheduled, or a newer message has replaced it.
            return Ok(self.with_terms(terms, now));
        }
        if !self.is_late(request) {
            terms.billing_version = version.or(terms.billing_version);
        }
        let current = self.terms.subscription.as_ref();
        let change = if let Some(current) = current.filter(|current| request.is_for(current)) {
            let updated = if self.is_late(request) {
                self.with_late_seats(current, request)
            } else {
                self.with_seats(current, request)?
            };
            self.adjust(current, updated, terms, now)?
        } else if self.is_past(request) {
            return Ok(self.with_terms(terms, now));
        } else {
            self.replace(request, terms, request.subscription(catalogue, now)?, now)
        };
        Ok((change.terms != self.terms).then_some(change))
    }

    /// Whether a request is not newer than the newest message that changed the subscription.
    fn is_late(&self, request: &SubscriptionRequest) -> bool {
        is_not_newer(request.version, self.terms.billing_version)
    }

    /// Whether a request has a start and no newer message has one.
    fn has_newest_start(&self, request: &SubscriptionRequest) -> bool {
        request.started_at.is_some() && !is_not_newer(request.version, self.terms.start_version)
    }

    /// Whether a request scheduled a subscription since the current one began. If the list of versions
    /// is full, a request with an older version that starts another subscription counts as dropped
    /// from it.
    fn has_scheduled(&self, request: &SubscriptionRequest) -> bool {
        let Some(version) = request.version else { return false };
        let stored = &self.terms.scheduled_versions;
        let is_full = stored.len() >= SCHEDULED_VERSIONS_MAX;
        let is_older = stored.first().is_some_and(|oldest| version < *oldest);
        let is_for_current = |current| request.is_for(current);
        let starts_another = request.started_at.is_some()
            && !self.terms.subscription.as_ref().is_some_and(is_for_current);
        stored.contains(&version) || is_full && is_older && starts_another
    }

    /// Whether a cancellation with the same or a newer version arrived before a request.
    fn is_cancelled(&self, request: &SubscriptionRequest) -> bool {
        is_not_newer(request.version, self.terms.cancelled_version)
    }

    /// Whether a request is for a subscription that has ended or was replaced, and grants nothing.
    /// Versions decide; starts decide if a version is missing or late.
    fn is_past(&self, request: &SubscriptionRequest) -> bool {
        let is_late = self.is_late(request);
        if is_late && !self.has_newest_start(request) {
            return true;
        }
        let has_ended = self.terms.subscription.is_none() && self.terms.newest_start.is_some();
        if has_ended && self.is_cancelled(request) {
            return true;
        }
        if request.version.is_some() && !is_late {
            return false;
        }
        match self.terms.newest_start.zip(request.started_at) {
            Some((newest, start)) if has_ended || is_late => start.day() <= newest.day(),
            Some((newest, start)) => start.day() < newest.day(),
            None => is_late,
        }
    }

    /// The creation of the account after a request. It is set once; only its day is compared.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the request states another day.
    fn account_created_at(&self, request: &SubscriptionRequest) -> Result<Option<Time>, Error> {
        let (stored, stated) = (self.terms.account_created_at, request.account_created_at);
        if stored.zip(stated).is_some_and(|(stored, stated)| stored.day() != stated.day()) {
            let detail = "must be the day that an earlier request set";
            return Err(Error::invalid("account_created_at", detail));
        }
        Ok(stored.or(stated))
    }

    /// The current subscription with the seats of the newest message.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the message states other included credits.
    fn with_seats(
        &self,
        current: &Subscription,
        request: &SubscriptionRequest,
    ) -> Result<Subscription, Error> {
        let included = request.included_credits;
        if included.is_some() && included != current.included_credits {
            let detail = "must be the amount fixed at the start of the subscription";
            return Err(Error::invalid("included_credits", detail));
        }
        Ok(Subscription {
            seats: request.seats,
            granted_seats: current.granted_seats.max(request.seats),
            cancelled: self.is_cancelled(request),
            ..current.clone()
        })
    }

    /// The current subscription after a late message. Its seats are granted if it belongs to the
    /// current cycle; the number of seats stays.
    fn with_late_seats(
        &self,
        current: &Subscription,
        request: &SubscriptionRequest,
    ) -> Subscription {
        let is_repeated = request.version == self.terms.billing_version;
        let before_cycle = match request.started_at {
            Some(_) => self.terms.cycle_version,
            None => self.terms.cycle_version.max(self.terms.named_version),
        };
        let is_of_cycle = !is_repeated && !is_not_newer(request.version, before_cycle);
        let seats = if is_of_cycle { request.seats } else { 0 };
        Subscription { granted_seats: current.granted_seats.max(seats), ..current.clone() }
    }

    /// The change of the current subscription to `updated`, with a grant for the seats that it adds.
    ///
    /// # Errors
    /// [`TooMany`] if a grant is larger than [`Credits::MAX`].
    fn adjust(
        &self,
        current: &Subscription,
        updated: Subscription,
        terms: Terms,
        now: Time,
    ) -> Result<Change, TooMany> {
        let before = granted(&self.terms, current, current.granted_seats)?;
        let more = granted(&terms, &updated, updated.granted_seats)?.excess_over(before);
        let balance_change =
            if more.is_zero() { BalanceChange::Keep } else { BalanceChange::Grant(more) };
        Ok(self.change(balance_change, Terms { subscription: Some(updated), ..terms }, now, now))
    }

    /// The change that stores the requested subscription as the next one.
    fn replace(
        &self,
        request: &SubscriptionRequest,
        mut terms: Terms,
        requested: Subscription,
        now: Time,
    ) -> Change {
        let cancelled = self.is_cancelled(request);
        let subscription = Subscription { cancelled, ..requested };
        terms.next = Some(NextSubscription { subscription, since: now });
        if !self.is_late(request) {
            terms.cycle_version = self.terms.billing_version;
        }
        let current = self.terms.subscription.as_ref();
        let has_same_plan = current.is_some_and(|current| current.plan == request.plan);
        let names_start = has_same_plan && self.has_newest_start(request);
        terms.named_version = request.version.filter(|_| names_start);
        self.change(BalanceChange::Keep, terms, now, now)
    }

    /// The change that ends the subscription with its cycle. `None` if it ends already or if a newer
    /// message arrived before. A cancellation that arrives before its subscription is stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a version out of range; [`Error::NotFound`] without a subscription and a version;
    /// [`Error::AccountClosed`].
    pub fn cancel(&self, version: Option<u64>, now: Time) -> Result<Option<Change>, Error> {
        check_version(version)?;
        let is_older = is_not_newer(version, self.terms.billing_version);
        let is_closed = self.terms.account == Account::Closed;
        if is_not_newer(version, self.terms.cancelled_version) || is_older && is_closed {
            return Ok(None);
        }
        self.check_open()?;
        let mut terms = self.terms.clone();
        terms.cancelled_version = version.or(terms.cancelled_version);
        match &mut terms.subscription {
            Some(current) if !is_older => current.cancelled = true,
            None if version.is_none() => return Err(Error::NotFound(Resource::Subscription)),
            Some(_) | None => {}
        }
        Ok(self.with_terms(terms, now))
    }

    /// The change that closes the account permanently. `None` if it is closed.
    #[must_use]
    pub fn close(&self, version: Option<u64>, now: Time) -> Option<Change> {
        if self.terms.account == Account::Closed {
            return None;
        }
        let terms = Terms {
            account: Account::Closed,
            next: None,
            scheduled: None,
            scheduled_versions: Vec::new(),
            billing_version: self.terms.billing_version.max(version),
            start_version: self.terms.start_version.max(version),
            ..self.terms.clone()
        };
        self.with_terms(terms, now)
    }

    /// The change to other terms without an effect on the balance; `None` if the terms are equal.
    fn with_terms(&self, terms: Terms, now: Time) -> Option<Change> {
        (terms != self.terms).then(|| self.change(BalanceChange::Keep, terms, now, now))
    }
}

/// Stores a subscription that begins at its start.
fn schedule(terms: &mut Terms, subscription: Subscription, version: Option<u64>) {
    terms.scheduled = Some(subscription);
    terms.scheduled_versions.extend(version);
    let dropped = terms.scheduled_versions.len().saturating_sub(SCHEDULED_VERSIONS_MAX);
    terms.scheduled_versions.drain(..dropped);
}

/// Whether a version is not newer than the newest one. A missing version is newer.
fn is_not_newer(version: Option<u64>, newest: Option<u64>) -> bool {
    version.zip(newest).is_some_and(|(version, newest)| version <= newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::catalogue;
    use crate::domain::subscription::fixtures::{
        apply_due, apply_with_next, at, cancel, expert, new_pool, request, spend, split, subscribe,
    };

    fn seats_message(version: u64, seats: u32) -> SubscriptionRequest {
        let body =
            format!(r#"{{"plan":"multichannel_expert","seats":{seats},"version":{version}}}"#);
        request(&body)
    }

    #[test]
    fn a_seat_is_granted_once_per_cycle() {
        let mut pool = expert(2, "2027-01-10T00:00:00Z");
        for (seats, free) in [(3, 1_200), (1, 1_200), (3, 1_200), (4, 1_600)] {
            let body = format!(r#"{{"plan":"multichannel_expert","seats":{seats}}}"#);
            subscribe(&mut pool, &body, "2027-01-15T00:00:00Z");
            assert_eq!(split(&pool), (free, 0), "{seats} seats");
        }
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":1}"#, "2027-01-20T00:00:00Z");
        apply_due(&mut pool, "2027-02-10T00:00:00Z");
        assert_eq!(split(&pool), (400, 0));
    }

    #[test]
    fn a_repeated_request_changes_nothing() {
        let pool = expert(2, "2027-01-10T00:00:00Z");
        for same in [
            r#"{"plan":"multichannel_expert","seats":2}"#,
            r#"{"plan":"multichannel_expert","seats":2,"started_at":"2027-01-10T09:30:00Z"}"#,
        ] {
            let again = pool.subscribe(&request(same), &catalogue(), at("2027-01-11T00:00:00Z"));
            assert_eq!(again.unwrap(), None, "{same}");
        }
    }

    #[test]
    fn late_and_repeated_starts_grant_nothing() {
        let expert = r#"{"plan":"multichannel_expert","started_at":"2027-01-10T00:00:00Z"}"#;
        let enterprise = r#"{"plan":"enterprise","started_at":"2027-01-12T00:00:00Z"}"#;
        let mut pool = new_pool();
        for body in [expert, enterprise, expert, enterprise] {
            subscribe(&mut pool, body, "2027-01-12T10:00:00Z");
        }
        assert_eq!(pool.terms.subscription.as_ref().unwrap().plan, "enterprise");
        assert_eq!((split(&pool), pool.epoch), ((400, 0), 2), "two grants");
        cancel(&mut pool, None, "2027-01-13T00:00:00Z");
        apply_due(&mut pool, "2027-02-12T00:00:00Z");
        subscribe(&mut pool, enterprise, "2027-02-13T00:00:00Z");
        assert_eq!((split(&pool), pool.terms.subscription.clone()), ((0, 0), None));
    }

    #[test]
    fn a_repeated_or_replaced_start_changes_nothing() {
        let enterprise = |version: u32, start: &str| {
            format!(
                r#"{{"plan":"enterprise","version":{version},"started_at":"{start}T00:00:00Z"}}"#
            )
        };
        let (second, third) = (enterprise(2, "2027-01-20"), enterprise(3, "2027-01-25"));
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        subscribe(&mut pool, &second, "2027-01-12T00:00:00Z");
        let scheduled = pool.clone();
        // The start is less than 5 minutes ahead.
        subscribe(&mut pool, &second, "2027-01-19T23:57:00Z");
        assert_eq!(pool, scheduled, "repeated before its start");
        apply_due(&mut pool, "2027-01-20T00:00:00Z");
        let begun = pool.clone();
        subscribe(&mut pool, &second, "2027-01-20T00:00:01Z");
        assert_eq!(pool, begun, "repeated after its start");

        let mut pool = scheduled;
        subscribe(&mut pool, &third, "2027-01-13T00:00:00Z");
        let scheduled = pool.clone();
        subscribe(&mut pool, &second, "2027-01-21T00:00:00Z");
        assert_eq!(pool, scheduled, "replaced by a newer message");
        apply_due(&mut pool, "2027-01-25T00:00:00Z");
        assert_eq!((pool.epoch, pool.terms.scheduled), (2, None));
    }

    /// Each message schedules a subscription that starts a day later than the one before.
    #[test]
    fn a_repeated_start_changes_nothing_after_its_version_was_dropped() {
        let start = |version: u64| {
            let day = 10 + version;
            format!(
                r#"{{"plan":"enterprise","version":{version},"started_at":"2027-01-{day}T00:00:00Z"}}"#
            )
        };
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        for version in 2..=10 {
            subscribe(&mut pool, &start(version), "2027-01-11T00:00:00Z");
        }
        assert_eq!(pool.terms.scheduled_versions, (3..=10).collect::<Vec<_>>(), "2 is dropped");
        let scheduled = pool.clone();
        for version in 2..=10 {
            subscribe(&mut pool, &start(version), "2027-01-19T23:59:00Z");
            assert_eq!(pool, scheduled, "version {version}");
        }
        // A late message without a start, or with that of the current subscription, is for the current one.
        subscribe(
            &mut pool,
            r#"{"plan":"multichannel_expert","version":1,"seats":2}"#,
            "2027-01-19T00:00:00Z",
        );
        assert_eq!(split(&pool), (800, 0));
        let named = r#"{"plan":"multichannel_expert","version":2,"seats":3,"started_at":"2027-01-10T00:00:00Z"}"#;
        subscribe(&mut pool, named, "2027-01-19T00:00:00Z");
        assert_eq!(split(&pool), (1_200, 0));
        apply_due(&mut pool, "2027-01-20T00:00:00Z");
        assert_eq!((split(&pool), pool.terms.scheduled_versions.len()), ((400, 0), 0));
        let begun = pool.clone();
        subscribe(&mut pool, &start(2), "2027-01-21T00:00:00Z");
        assert_eq!(pool, begun, "repeated after the scheduled subscription began");
    }

    #[test]
    fn late_seats_of_the_previous_subscription_are_not_granted() {
        let restart =
            r#"{"plan":"multichannel_expert","version":3,"started_at":"2027-01-12T00:00:00Z"}"#;
        let seats = r#"{"plan":"multichannel_expert","version":2,"seats":5}"#;
        let first = r#"{"plan":"multichannel_expert","version":1}"#;
        for order in [[seats, restart], [restart, seats]] {
            let mut pool = new_pool();
            subscribe(&mut pool, first, "2027-01-10T00:00:00Z");
            for body in order {
                subscribe(&mut pool, body, "2027-01-12T00:00:01Z");
            }
            assert_eq!(split(&pool), (400, 0), "{order:?}");
        }
    }

    #[test]
    fn an_older_or_equal_version_changes_nothing() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool.subscribe(&seats_message(7, 3), &catalogue(), now).unwrap().unwrap();
        pool.apply(&change).unwrap();
        for version in [0, 6, 7] {
            assert_eq!(
                pool.subscribe(&seats_message(version, 2), &catalogue(), now).unwrap(),
                None
            );
        }
        let same = pool.subscribe(&seats_message(8, 3), &catalogue(), now).unwrap().unwrap();
        assert_eq!(
            (same.balance_change, same.entries.len()),
            (BalanceChange::Keep, 0),
            "version only"
        );
        pool.apply(&same).unwrap();
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":4}"#, "2027-01-20T09:00:00Z");
        assert_eq!((split(&pool), pool.terms.billing_version), ((1_600, 0), Some(8)));
    }

    #[test]
    fn a_late_message_to_a_closed_account_is_no_error() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool.close(Some(9), now).unwrap();
        pool.apply(&change).unwrap();
        assert_eq!(pool.subscribe(&seats_message(8, 5), &catalogue(), now).unwrap(), None);
        assert_eq!(pool.cancel(Some(8), now).unwrap(), None);
        assert!(matches!(pool.cancel(Some(10), now), Err(Error::AccountClosed)));
    }

    #[test]
    fn a_cancellation_may_arrive_before_its_subscription() {
        let mut pool = new_pool();
        let (day, now) = ("2027-01-10T00:00:00Z", at("2027-01-10T00:00:00Z"));
        assert!(matches!(pool.cancel(None, now), Err(Error::NotFound(_))));
        cancel(&mut pool, Some(3), day);
        let is_cancelled_after = |pool: &mut Pool, version, seats| {
            let change =
                pool.subscribe(&seats_message(version, seats), &catalogue(), now).unwrap().unwrap();
            apply_with_next(pool, &change, day);
            pool.terms.subscription.as_ref().is_some_and(|current| current.cancelled)
        };
        assert!(is_cancelled_after(&mut pool, 1, 1), "it begins and ends with its cycle");
        assert!(is_cancelled_after(&mut pool, 2, 3), "late seats are granted");
        assert_eq!(split(&pool), (1_200, 0));
        let mut ended = pool.clone();
        apply_due(&mut ended, "2027-02-10T00:00:00Z");
        let after_end = at("2027-02-11T00:00:00Z");
        let stored =
            ended.subscribe(&seats_message(3, 9), &catalogue(), after_end).unwrap().unwrap();
        assert_eq!(
            (stored.balance_change, stored.terms.next),
            (BalanceChange::Keep, None),
            "has ended"
        );
        assert!(!is_cancelled_after(&mut pool, 4, 3), "a newer message revokes it");
        assert_eq!(split(&pool), (1_200, 0));
    }

    #[test]
    fn revoking_a_cancellation_grants_nothing() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        spend(&mut pool, 400);
        cancel(&mut pool, None, "2027-01-12T00:00:00Z");
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":1}"#, "2027-01-13T00:00:00Z");
        assert_eq!(split(&pool), (0, 0));
        assert_eq!(pool.next_refill().unwrap().to_string(), "2027-02-10");
    }

    #[test]
    fn account_created_at_is_set_once() {
        let mut pool = new_pool();
        subscribe(&mut pool, r#"{"plan":"email_pro","seats":3}"#, "2027-01-10T00:00:00Z");
        assert_eq!(split(&pool), (0, 0));
        let created_at = |created| {
            request(&format!(
                r#"{{"plan":"email_pro","seats":3,"account_created_at":"{created}"}}"#
            ))
        };
        let now = at("2027-01-11T00:00:00Z");
        let first = created_at("2024-02-01T10:00:00Z");
        let change = pool.subscribe(&first, &catalogue(), now).unwrap().unwrap();
        pool.apply(&change).unwrap();
        assert_eq!(split(&pool), (3_000, 0));
        let same_day = created_at("2024-02-01T10:00:00.250Z");
        assert_eq!(pool.subscribe(&same_day, &catalogue(), now).unwrap(), None);
        for other in ["2024-02-02T10:00:00Z", "2023-02-01T10:00:00Z"] {
            let other = pool.subscribe(&created_at(other), &catalogue(), now);
            assert!(matches!(other, Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn account_created_at_defaults_to_the_start() {
        let mut pool = new_pool();
        let old = r#"{"plan":"email_pro","started_at":"2024-02-10T00:00:00Z"}"#;
        subscribe(&mut pool, old, "2027-01-10T00:00:00Z");
        assert_eq!(split(&pool), (1_000, 0));
    }

    #[test]
    fn a_closed_account_rejects_changes() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-12T00:00:00Z");
        let change = pool.close(None, now).unwrap();
        pool.apply(&change).unwrap();
        assert_eq!(pool.due_change(at("2028-01-01T00:00:00Z")), Ok(None));
        assert_eq!(pool.close(None, now), None);
        assert!(matches!(pool.cancel(None, now), Err(Error::AccountClosed)));
        let again = pool.subscribe(&request(r#"{"plan":"email"}"#), &catalogue(), now);
        assert!(matches!(again, Err(Error::AccountClosed)));
    }

    #[test]
    fn rejects_terms_that_the_plan_does_not_allow() {
        let pool = new_pool();
        let bodies = [
            r#"{"plan":"email","seats":0}"#,
            r#"{"plan":"email","seats":100001}"#,
            r#"{"plan":"email","included_credits":1}"#,
            r#"{"plan":"enterprise","included_credits":100000001}"#,
            r#"{"plan":"email","account_created_at":"2027-02-01T00:00:00Z"}"#,
            r#"{"plan":"platinum"}"#,
            r#"{"plan":"platinum","started_at":"2027-02-01T00:00:00Z"}"#,
        ];
        for body in bodies {
            let refused = pool.subscribe(&request(body), &catalogue(), at("2027-01-12T00:00:00Z"));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{body}");
        }
    }
}
