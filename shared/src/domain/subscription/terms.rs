//! Changes of a pool's terms: a plan starts or changes, seats are added and removed, cycles end, a
//! subscription is cancelled, an account is closed. A pure function decides each [`Change`] from the
//! pool as it was read.

use jiff::civil::Date;

use crate::domain::catalogue::plans::Cadence;
use crate::domain::ledger::entry::{Details, Entry, Lapsed, OfCycle};
use crate::domain::pool::balance::BalanceChange;
use crate::domain::pool::epochs::Owed;
use crate::domain::pool::totals::CycleTotals;
use crate::domain::pool::usage::Usage;
use crate::domain::pool::{Account, Next, OwedStep, Pool, Terms};
use crate::domain::subscription::cycle::Cycle;
use crate::domain::subscription::{Subscription, SubscriptionRequest};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The most versions of messages with a later start that a pool keeps.
const SCHEDULED_VERSIONS_MAX: usize = 8;

/// One change of a pool's terms: its effect on the credits, the terms after it, and its ledger entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Holds that expire by this time are returned before the change.
    pub at: Time,
    /// The effect on the credits.
    pub effect: BalanceChange,
    /// The terms after it.
    pub terms: Terms,
    /// The ledger entries: an expiry, a grant, or both.
    pub entries: Vec<Entry>,
    /// The counters of the cycle that begins, or of the time after the last one.
    pub tally: Option<CycleTotals>,
}

impl Change {
    /// Whether all lanes are returned before it is made: a charge after a grant spends the new free
    /// credits first, what lapses must be in the pool, all usage of a cycle must be counted in it, and
    /// nothing is charged to a closed account.
    #[must_use]
    pub fn ends_lanes(&self) -> bool {
        self.effect.is_grant() || self.tally.is_some() || self.terms.account == Account::Closed
    }
}

impl Pool {
    /// The day of the next grant; `None` where nothing is granted again.
    #[must_use]
    pub fn next_refill(&self) -> Option<jiff::civil::Date> {
        let subscription = self.terms.subscription.as_ref()?;
        let renews = !subscription.cancelled && subscription.grant.cadence == Cadence::Monthly;
        let open = self.terms.account == Account::Active;
        if renews && open && !self.monthly_grant()?.is_zero() {
            self.terms.cycle.map(|cycle| cycle.end)
        } else {
            None
        }
    }

    /// The free credits that the current subscription grants for its seats.
    pub(super) fn monthly_grant(&self) -> Option<Credits> {
        let subscription = self.terms.subscription.as_ref()?;
        Some(granted(&self.terms, subscription, subscription.seats))
    }

    /// The change that is due, if one is: the next subscription begins, a scheduled one begins, or the
    /// cycle ends. However many cycles were missed, the one after it is the one that holds `now`, with
    /// one grant.
    #[must_use]
    pub fn due_change(&self, now: Time) -> Option<Change> {
        if !self.is_due(now) {
            return None;
        }
        if let Some(Next { subscription, since }) = self.terms.next.clone() {
            let at = since.max(now);
            return Some(self.begin(&subscription, at, at, now));
        }
        let scheduled = self.terms.scheduled.clone();
        if let Some(subscription) = scheduled.filter(|it| it.started_at <= now) {
            let start = subscription.started_at;
            let ended_at = self.renewal_or_end().map_or(start, |end| end.min(start));
            return Some(self.begin(&subscription, ended_at, start, now));
        }
        let old = self.terms.cycle?;
        let subscription = self.terms.subscription.clone()?;
        if subscription.cancelled {
            let terms = Terms { subscription: None, cycle: None, ..self.terms.clone() };
            let change =
                self.change(BalanceChange::Reset(Credits::ZERO), terms, old.over_at(), now);
            return Some(self.with_new_counters(change, old.end));
        }
        let cycle = Cycle::holding(subscription.started_at.day(), now.day());
        let renewed = Subscription { granted_seats: subscription.seats, ..subscription };
        let effect = match renewed.grant.cadence {
            Cadence::Monthly => BalanceChange::Reset(granted(&self.terms, &renewed, renewed.seats)),
            Cadence::Once | Cadence::None => BalanceChange::Keep,
        };
        let terms = Terms {
            subscription: Some(renewed),
            cycle: Some(cycle),
            cycle_version: self.terms.billing_version,
            ..self.terms.clone()
        };
        let change = self.change(effect, terms, old.over_at(), Time::start_of(cycle.start));
        Some(self.with_new_counters(change, cycle.start))
    }

    /// The end of the cycle, if the free credits lapse with it.
    fn renewal_or_end(&self) -> Option<Time> {
        let subscription = self.terms.subscription.as_ref()?;
        let lapses = subscription.cancelled || subscription.grant.cadence == Cadence::Monthly;
        self.terms.cycle.filter(|_| lapses).map(Cycle::over_at)
    }

    /// Changes the subscription: seats or a cancellation of the current one, a new one in its place, or
    /// one that starts later. `None` if nothing changes.
    ///
    /// Messages arrive in any order and lead to the same terms. An older message than the newest one
    /// changes nothing, except that seats which it added within the current cycle are granted. A start
    /// replaces the scheduled subscription of an older message. A subscription that an older message
    /// starts after its cancellation arrived is cancelled.
    ///
    /// # Errors
    /// [`Error::Invalid`] for terms that the plan or the account cannot have,
    /// [`Error::AccountClosed`].
    pub fn subscribe(
        &self,
        request: &SubscriptionRequest,
        now: Time,
    ) -> Result<Option<Change>, Error> {
        request.check(now)?;
        let version = request.version;
        let names_start =
            request.started_at.is_some() && !is_late(version, self.terms.start_version);
        let is_late = is_late(version, self.terms.billing_version);
        if self.terms.account == Account::Closed && is_late {
            return Ok(None);
        }
        self.check_open()?;
        let account_created_at = self.account_age(request)?;
        let mut terms = Terms { account_created_at, ..self.terms.clone() };
        if names_start {
            terms.start_version = version.or(terms.start_version);
            terms.scheduled = None;
        }
        if request.starts_later(now) {
            if names_start {
                terms.scheduled = Some(request.subscription(now)?);
                terms.scheduled_versions.extend(version);
                let old = terms.scheduled_versions.len().saturating_sub(SCHEDULED_VERSIONS_MAX);
                terms.scheduled_versions.drain(..old);
            }
            return Ok(self.with_terms(terms, now));
        }
        if version.is_some_and(|version| terms.scheduled_versions.contains(&version)) {
            // It is scheduled, or a newer message has replaced it.
            return Ok(self.with_terms(terms, now));
        }
        if !is_late {
            terms.billing_version = version.or(terms.billing_version);
        }
        let change = match &self.terms.subscription {
            Some(current) if request.is_for(current) => {
                let asked = if is_late {
                    self.with_late_seats(current, request)
                } else {
                    self.with_seats(current, request)?
                };
                self.adjust(current, asked, terms, now)
            }
            Some(_) | None if self.is_past(request, is_late) || (is_late && !names_start) => {
                return Ok(self.with_terms(terms, now));
            }
            Some(_) | None => {
                let subscription = request.subscription(now)?;
                let cancelled = self.is_cancelled(request);
                let subscription = Subscription { cancelled, ..subscription };
                let next = Some(Next { subscription, since: now });
                if !is_late {
                    terms.cycle_version = self.terms.billing_version;
                }
                let current = self.terms.subscription.as_ref();
                let restarts = current.is_some_and(|current| current.plan == request.plan);
                terms.named_version = version.filter(|_| names_start && restarts);
                self.change(BalanceChange::Keep, Terms { next, ..terms }, now, now)
            }
        };
        Ok((change.terms != self.terms).then_some(change))
    }

    /// When the account was created, which is told once. Only its day matters.
    fn account_age(&self, request: &SubscriptionRequest) -> Result<Option<Time>, Error> {
        let (known, told) = (self.terms.account_created_at, request.account_created_at);
        if known.zip(told).is_some_and(|(known, told)| known.day() != told.day()) {
            return Err(Error::invalid("account_created_at", "was told otherwise before"));
        }
        Ok(known.or(told))
    }

    /// The current subscription as the newest message wants it.
    fn with_seats(
        &self,
        current: &Subscription,
        request: &SubscriptionRequest,
    ) -> Result<Subscription, Error> {
        let agreed = request.included_credits;
        if agreed.is_some() && agreed != current.included_credits {
            let detail = "was agreed otherwise when the team subscribed";
            return Err(Error::invalid("included_credits", detail));
        }
        Ok(Subscription {
            seats: request.seats,
            granted_seats: current.granted_seats.max(request.seats),
            cancelled: self.is_cancelled(request),
            ..current.clone()
        })
    }

    /// The current subscription after a message that newer ones overtook: its seats are granted if it
    /// belongs to this cycle, and are no longer the number of seats.
    fn with_late_seats(
        &self,
        current: &Subscription,
        request: &SubscriptionRequest,
    ) -> Subscription {
        let is_repeated = request.version == self.terms.billing_version;
        let newer_than = match request.started_at {
            Some(_) => self.terms.cycle_version,
            None => self.terms.cycle_version.max(self.terms.named_version),
        };
        let is_of_cycle = !is_repeated && !is_late(request.version, newer_than);
        let seats = if is_of_cycle { request.seats } else { 0 };
        Subscription { granted_seats: current.granted_seats.max(seats), ..current.clone() }
    }

    /// Whether a cancellation arrived before the message that it cancels.
    fn is_cancelled(&self, request: &SubscriptionRequest) -> bool {
        is_late(request.version, self.terms.cancelled_version)
    }

    /// Whether a request names a subscription that another one followed, or that has ended: it must
    /// not bring a grant. Versions decide, and starts where a version is missing or overtaken.
    fn is_past(&self, request: &SubscriptionRequest, is_late: bool) -> bool {
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

    fn adjust(
        &self,
        current: &Subscription,
        asked: Subscription,
        terms: Terms,
        now: Time,
    ) -> Change {
        let before = granted(&self.terms, current, current.granted_seats);
        let more = granted(&terms, &asked, asked.granted_seats).excess_over(before);
        let effect = if more.is_zero() { BalanceChange::Keep } else { BalanceChange::Grant(more) };
        self.change(effect, Terms { subscription: Some(asked), ..terms }, now, now)
    }

    /// Begins a subscription at a time; the free credits of the one before lapsed at `ended_at`.
    fn begin(&self, subscription: &Subscription, ended_at: Time, at: Time, now: Time) -> Change {
        let anchor = subscription.started_at;
        let cycle = Cycle::holding(anchor.day(), now.max(at).day());
        let at = at.max(Time::start_of(cycle.start));
        let mut terms = Terms {
            cycle: Some(cycle),
            newest_start: Some(anchor),
            subscription: Some(subscription.clone()),
            ..self.terms.clone()
        };
        if terms.next.take().is_none() {
            terms.scheduled = None;
            terms.scheduled_versions = Vec::new();
            terms.billing_version = terms.billing_version.max(terms.start_version);
            terms.cycle_version = terms.billing_version;
        }
        let grant = granted(&terms, subscription, subscription.seats);
        let change = self.change(BalanceChange::Reset(grant), terms, ended_at, at);
        self.with_new_counters(change, at.day())
    }

    /// The same change with counters that begin at zero.
    fn with_new_counters(&self, change: Change, since: Date) -> Change {
        let (kept, granted) = match change.effect {
            BalanceChange::Reset(grant) => (Credits::ZERO, grant),
            BalanceChange::Keep
            | BalanceChange::Charge(_)
            | BalanceChange::Purchase(_)
            | BalanceChange::Grant(_) => (self.balance.free(), Credits::ZERO),
        };
        let number = self.tally.number.saturating_add(1);
        let tally =
            CycleTotals { number, since: Some(since), kept, granted, ..CycleTotals::default() };
        Change { tally: Some(tally), ..change }
    }

    /// Ends the subscription with its cycle. `None` if that is so already, or if a newer message
    /// arrived before. A cancellation that arrives before the message that it cancels is stored.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a subscription and a version, [`Error::AccountClosed`].
    pub fn cancel(&self, version: Option<u64>, now: Time) -> Result<Option<Change>, Error> {
        let is_older = is_late(version, self.terms.billing_version);
        let is_closed = self.terms.account == Account::Closed;
        if is_late(version, self.terms.cancelled_version) || is_older && is_closed {
            return Ok(None);
        }
        self.check_open()?;
        let mut terms = self.terms.clone();
        terms.cancelled_version = version.or(terms.cancelled_version);
        match &mut terms.subscription {
            Some(current) if !is_older => current.cancelled = true,
            None if version.is_none() => return Err(Error::NotFound("subscription")),
            Some(_) | None => {}
        }
        Ok(self.with_terms(terms, now))
    }

    /// Closes the account for good, whatever arrived before. `None` if it is closed.
    #[must_use]
    pub fn close(&self, version: Option<u64>, now: Time) -> Option<Change> {
        if self.terms.account == Account::Closed {
            return None;
        }
        let billing_version = self.terms.billing_version.max(version);
        let start_version = self.terms.start_version.max(version);
        let (account, next, scheduled) = (Account::Closed, None, None);
        let terms = Terms {
            account,
            next,
            scheduled,
            scheduled_versions: Vec::new(),
            billing_version,
            start_version,
            ..self.terms.clone()
        };
        self.with_terms(terms, now)
    }

    /// The change to other terms that leaves the credits alone; `None` if they are the same.
    fn with_terms(&self, terms: Terms, now: Time) -> Option<Change> {
        (terms != self.terms).then(|| self.change(BalanceChange::Keep, terms, now, now))
    }

    /// Whether the account can be used.
    ///
    /// # Errors
    /// [`Error::AccountClosed`].
    pub const fn check_open(&self) -> Result<(), Error> {
        match self.terms.account {
            Account::Active => Ok(()),
            Account::Closed => Err(Error::AccountClosed),
        }
    }

    fn change(
        &self,
        effect: BalanceChange,
        mut terms: Terms,
        lapsed_at: Time,
        granted_at: Time,
    ) -> Change {
        let epoch = self.epoch.saturating_add(1);
        let (lapsed, grant) = match effect {
            BalanceChange::Reset(grant) => (self.balance.free(), grant),
            BalanceChange::Grant(grant) => (Credits::ZERO, grant),
            BalanceChange::Keep | BalanceChange::Charge(_) | BalanceChange::Purchase(_) => {
                (Credits::ZERO, Credits::ZERO)
            }
        };
        let is_reset = matches!(effect, BalanceChange::Reset(_));
        if is_reset {
            terms.reset_epoch = epoch;
        }
        let plan = |terms: &Terms| terms.subscription.as_ref().map(|current| current.plan.clone());
        let rows = [
            (
                Details::Expiry(Lapsed::Cycle(OfCycle { epoch, plan: plan(&self.terms) })),
                lapsed.lost(),
                lapsed_at,
            ),
            (Details::Grant(OfCycle { epoch, plan: plan(&terms) }), grant.gained(), granted_at),
        ];
        let entries = rows
            .into_iter()
            .filter(|(_, credits, _)| *credits != 0)
            .map(|(details, credits, at)| Entry {
                credits,
                ..Entry::new(&self.team, None, details, at)
            })
            .collect();
        let at = if is_reset { lapsed_at } else { granted_at };
        Change { at, effect, terms, entries, tally: None }
    }

    /// Makes a change that was decided on this very pool.
    ///
    /// # Errors
    /// [`Error::Internal`] if the credits leave their range.
    pub fn apply(&mut self, change: &Change) -> Result<(), Error> {
        let out_of_range = || Error::internal("a grant exceeds what a pool can hold");
        if change.effect.is_grant() {
            let used = self.balance.mark.excess_over(self.balance.credits);
            match self.owed_step() {
                OwedStep::Clear => self.owed = Owed::default(),
                OwedStep::Keep => {}
                OwedStep::Add(group) => self.owed.add(group, used)?,
            }
            self.epoch = self.epoch.saturating_add(1);
            self.refused = None;
        }
        self.balance = self.balance.after(change.effect).ok_or_else(out_of_range)?;
        self.version = self.version.saturating_add(1);
        self.terms = change.terms.clone();
        match (&change.tally, change.effect) {
            (Some(tally), _) => {
                self.tally = *tally;
                self.used = Usage::default();
            }
            (None, BalanceChange::Grant(more)) => {
                let granted = self.tally.granted.checked_add(more);
                self.tally.granted = granted.ok_or_else(out_of_range)?;
            }
            (None, _) => {}
        }
        Ok(())
    }
}

/// Whether a message is no newer than the newest one.
fn is_late(version: Option<u64>, newest: Option<u64>) -> bool {
    version.zip(newest).is_some_and(|(version, newest)| version <= newest)
}

fn granted(terms: &Terms, subscription: &Subscription, seats: u32) -> Credits {
    let created_at = terms.account_created_at.unwrap_or(subscription.started_at);
    subscription.grant.grant(seats, created_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ledger::entry::Kind;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn request(body: &str) -> SubscriptionRequest {
        serde_json::from_str(body).unwrap()
    }

    fn apply(pool: &mut Pool, change: &Change) {
        pool.apply(change).unwrap();
    }

    fn subscribe(pool: &mut Pool, body: &str, now: &str) {
        if let Some(change) = pool.subscribe(&request(body), at(now)).unwrap() {
            let begins = change.terms.next.is_some();
            apply(pool, &change);
            if begins {
                turn(pool, now);
            }
        }
    }

    fn spend(pool: &mut Pool, credits: u64) {
        pool.balance = pool.balance.after(BalanceChange::Charge(Credits::new(credits))).unwrap();
    }

    fn turn(pool: &mut Pool, now: &str) {
        let change = pool.due_change(at(now)).unwrap();
        apply(pool, &change);
    }

    fn split(pool: &Pool) -> (u64, u64) {
        (pool.balance.free().get(), pool.balance.purchased().get())
    }

    fn expert(seats: u32, now: &str) -> Pool {
        let mut pool = Pool::open("t".parse().unwrap());
        subscribe(&mut pool, &format!(r#"{{"plan":"multichannel_expert","seats":{seats}}}"#), now);
        pool
    }

    #[test]
    fn a_cycle_turns_once_at_its_boundary() {
        let mut pool = expert(3, "2027-01-31T10:00:00Z");
        spend(&mut pool, 1_000);
        assert_eq!(pool.due_change(at("2027-02-27T23:59:59.999Z")), None);
        let change = pool.due_change(at("2027-02-28T00:00:00Z")).unwrap();
        let told: Vec<(Kind, i64)> =
            change.entries.iter().map(|entry| (entry.kind(), entry.credits)).collect();
        assert_eq!(told, [(Kind::Expiry, -200), (Kind::Grant, 1_200)]);
        apply(&mut pool, &change);
        assert_eq!(split(&pool), (1_200, 0));
        assert_eq!(pool.due_change(at("2027-02-28T00:00:00Z")), None);
        assert_eq!(pool.next_refill().unwrap().to_string(), "2027-03-31");
    }

    #[test]
    fn several_missed_cycles_bring_one_grant_for_the_current_one() {
        let mut pool = expert(1, "2027-01-31T10:00:00Z");
        turn(&mut pool, "2027-06-15T00:00:00Z");
        assert_eq!(split(&pool), (400, 0));
        let cycle = pool.terms.cycle.unwrap();
        assert_eq!(cycle.start.to_string(), "2027-05-31");
        assert_eq!(cycle.end.to_string(), "2027-06-30");
    }

    #[test]
    fn a_seat_grants_once_in_a_cycle() {
        let mut pool = expert(2, "2027-01-10T00:00:00Z");
        for (seats, free) in [(3, 1_200), (1, 1_200), (3, 1_200), (4, 1_600)] {
            let body = format!(r#"{{"plan":"multichannel_expert","seats":{seats}}}"#);
            subscribe(&mut pool, &body, "2027-01-15T00:00:00Z");
            assert_eq!(split(&pool), (free, 0), "{seats} seats");
        }
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":1}"#, "2027-01-20T00:00:00Z");
        turn(&mut pool, "2027-02-10T00:00:00Z");
        assert_eq!(split(&pool), (400, 0));
    }

    #[test]
    fn a_repeated_request_changes_nothing() {
        let pool = expert(2, "2027-01-10T00:00:00Z");
        for same in [
            r#"{"plan":"multichannel_expert","seats":2}"#,
            r#"{"plan":"multichannel_expert","seats":2,"started_at":"2027-01-10T09:30:00Z"}"#,
        ] {
            let again = pool.subscribe(&request(same), at("2027-01-11T00:00:00Z"));
            assert_eq!(again.unwrap(), None, "{same}");
        }
    }

    #[test]
    fn what_comes_late_or_again_grants_nothing() {
        let expert = r#"{"plan":"multichannel_expert","started_at":"2027-01-10T00:00:00Z"}"#;
        let enterprise = r#"{"plan":"enterprise","started_at":"2027-01-12T00:00:00Z"}"#;
        let mut pool = Pool::open("t".parse().unwrap());
        for body in [expert, enterprise, expert, enterprise] {
            subscribe(&mut pool, body, "2027-01-12T10:00:00Z");
        }
        assert_eq!(pool.terms.subscription.as_ref().unwrap().plan, "enterprise");
        assert_eq!((split(&pool), pool.epoch), ((400, 0), 2), "two grants, the second one's");
        let change = pool.cancel(None, at("2027-01-13T00:00:00Z")).unwrap().unwrap();
        apply(&mut pool, &change);
        turn(&mut pool, "2027-02-12T00:00:00Z");
        subscribe(&mut pool, enterprise, "2027-02-13T00:00:00Z");
        assert_eq!((split(&pool), pool.terms.subscription.clone()), ((0, 0), None));
    }

    #[test]
    fn a_repeated_or_replaced_start_begins_nothing() {
        let enterprise = |version: u32, start: &str| {
            format!(
                r#"{{"plan":"enterprise","version":{version},"started_at":"{start}T00:00:00Z"}}"#
            )
        };
        let (second, third) = (enterprise(2, "2027-01-20"), enterprise(3, "2027-01-25"));
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        subscribe(&mut pool, &second, "2027-01-12T00:00:00Z");
        let scheduled = pool.clone();
        // Its start is less than five minutes ahead.
        subscribe(&mut pool, &second, "2027-01-19T23:57:00Z");
        assert_eq!(pool, scheduled, "repeated before its start");
        turn(&mut pool, "2027-01-20T00:00:00Z");
        let begun = pool.clone();
        subscribe(&mut pool, &second, "2027-01-20T00:00:01Z");
        assert_eq!(pool, begun, "repeated after its start");

        let mut pool = scheduled;
        subscribe(&mut pool, &third, "2027-01-13T00:00:00Z");
        let scheduled = pool.clone();
        subscribe(&mut pool, &second, "2027-01-21T00:00:00Z");
        assert_eq!(pool, scheduled, "a start that a newer message has replaced");
        turn(&mut pool, "2027-01-25T00:00:00Z");
        assert_eq!((pool.epoch, pool.terms.scheduled), (2, None));
    }

    #[test]
    fn seats_of_the_subscription_before_a_named_start_are_not_granted_late() {
        let restart =
            r#"{"plan":"multichannel_expert","version":3,"started_at":"2027-01-12T00:00:00Z"}"#;
        let seats = r#"{"plan":"multichannel_expert","version":2,"seats":5}"#;
        let first = r#"{"plan":"multichannel_expert","version":1}"#;
        let ends = [[seats, restart], [restart, seats]].map(|order| {
            let mut pool = Pool::open("t".parse().unwrap());
            subscribe(&mut pool, first, "2027-01-10T00:00:00Z");
            for body in order {
                subscribe(&mut pool, body, "2027-01-12T00:00:01Z");
            }
            split(&pool)
        });
        assert_eq!(ends, [(400, 0), (400, 0)]);
    }

    #[test]
    fn nothing_is_charged_until_the_next_subscription_has_begun() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool.subscribe(&request(r#"{"plan":"enterprise"}"#), now).unwrap().unwrap();
        assert_eq!((change.effect, change.entries.len()), (BalanceChange::Keep, 0));
        apply(&mut pool, &change);
        assert!(pool.is_due(now));
        turn(&mut pool, "2027-01-20T09:00:01Z");
        assert!(!pool.is_due(now));
        assert_eq!(pool.terms.next, None);
    }

    fn told(version: u64, seats: u32) -> SubscriptionRequest {
        let body =
            format!(r#"{{"plan":"multichannel_expert","seats":{seats},"version":{version}}}"#);
        request(&body)
    }

    #[test]
    fn a_message_that_is_no_newer_changes_nothing() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool.subscribe(&told(7, 3), now).unwrap().unwrap();
        apply(&mut pool, &change);
        for version in [0, 6, 7] {
            assert_eq!(pool.subscribe(&told(version, 2), now).unwrap(), None);
        }
        let same = pool.subscribe(&told(8, 3), now).unwrap().unwrap();
        assert_eq!((same.effect, same.entries.len()), (BalanceChange::Keep, 0), "only remembered");
        apply(&mut pool, &same);
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":4}"#, "2027-01-20T09:00:00Z");
        assert_eq!((split(&pool), pool.terms.billing_version), ((1_600, 0), Some(8)));
        // What is late is no error, whatever it asks for.
        let close = pool.close(Some(9), now).unwrap();
        apply(&mut pool, &close);
        assert_eq!(pool.subscribe(&told(8, 5), now).unwrap(), None);
        assert_eq!(pool.cancel(Some(8), now).unwrap(), None);
        assert!(matches!(pool.cancel(Some(10), now), Err(Error::AccountClosed)));
    }

    #[test]
    fn a_cancellation_may_come_before_what_it_cancels() {
        let mut pool = Pool::open("t".parse().unwrap());
        let (day, now) = ("2027-01-10T00:00:00Z", at("2027-01-10T00:00:00Z"));
        assert!(matches!(pool.cancel(None, now), Err(Error::NotFound(_))));
        let change = pool.cancel(Some(3), now).unwrap().unwrap();
        apply(&mut pool, &change);
        let begun = |pool: &mut Pool, version, seats| {
            let change = pool.subscribe(&told(version, seats), now).unwrap().unwrap();
            apply(pool, &change);
            if pool.terms.next.is_some() {
                turn(pool, day);
            }
            pool.terms.subscription.as_ref().is_some_and(|current| current.cancelled)
        };
        assert!(begun(&mut pool, 1, 1), "it begins and ends with its cycle");
        assert!(begun(&mut pool, 2, 3), "a seat that is told of late is granted all the same");
        assert_eq!(split(&pool), (1_200, 0));
        let mut ended = pool.clone();
        turn(&mut ended, "2027-02-10T00:00:00Z");
        let remembered = ended.subscribe(&told(3, 9), at("2027-02-11T00:00:00Z")).unwrap().unwrap();
        assert_eq!(
            (remembered.effect, remembered.terms.next),
            (BalanceChange::Keep, None),
            "it is over"
        );
        assert!(!begun(&mut pool, 4, 3), "what is newer takes it back");
        assert_eq!(split(&pool), (1_200, 0));
    }

    #[test]
    fn the_age_of_an_account_may_be_told_later_but_once() {
        let mut pool = Pool::open("t".parse().unwrap());
        subscribe(&mut pool, r#"{"plan":"email_pro","seats":3}"#, "2027-01-10T00:00:00Z");
        assert_eq!(split(&pool), (0, 0));
        let told = |year| {
            let created = format!("{year}-02-01T00:00:00Z");
            format!(r#"{{"plan":"email_pro","seats":3,"account_created_at":"{created}"}}"#)
        };
        subscribe(&mut pool, &told(2024), "2027-01-11T00:00:00Z");
        assert_eq!(split(&pool), (3_000, 0));
        let otherwise = pool.subscribe(&request(&told(2023)), at("2027-01-12T00:00:00Z"));
        assert!(matches!(otherwise, Err(Error::Invalid(_))));

        let mut pool = Pool::open("t".parse().unwrap());
        let old = r#"{"plan":"email_pro","started_at":"2024-02-10T00:00:00Z"}"#;
        subscribe(&mut pool, old, "2027-01-10T00:00:00Z");
        assert_eq!(split(&pool), (1_000, 0), "an account is as old as its subscription");
    }

    #[test]
    fn another_plan_lapses_the_free_credits_and_starts_a_cycle() {
        let mut pool = expert(2, "2027-01-10T00:00:00Z");
        pool.balance = pool.balance.after(BalanceChange::Purchase(Credits::new(70))).unwrap();
        subscribe(&mut pool, r#"{"plan":"enterprise"}"#, "2027-01-20T09:00:00Z");
        assert_eq!(split(&pool), (400, 70));
        assert_eq!(pool.terms.cycle.unwrap().start.to_string(), "2027-01-20");
        assert_eq!(pool.next_refill(), None);
    }

    #[test]
    fn a_one_time_grant_outlives_its_cycles_and_is_not_repeated() {
        let mut pool = Pool::open("t".parse().unwrap());
        subscribe(
            &mut pool,
            r#"{"plan":"enterprise","included_credits":900}"#,
            "2027-01-20T09:00:00Z",
        );
        spend(&mut pool, 100);
        turn(&mut pool, "2027-02-20T00:00:00Z");
        assert_eq!(split(&pool), (800, 0));
        assert_eq!(pool.terms.cycle.unwrap().start.to_string(), "2027-02-20");
    }

    #[test]
    fn a_cancelled_plan_keeps_its_free_credits_until_the_cycle_ends() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        pool.balance = pool.balance.after(BalanceChange::Purchase(Credits::new(30))).unwrap();
        let change = pool.cancel(None, at("2027-01-12T00:00:00Z")).unwrap().unwrap();
        apply(&mut pool, &change);
        assert_eq!((split(&pool), pool.next_refill()), ((400, 30), None));
        assert_eq!(pool.cancel(None, at("2027-01-13T00:00:00Z")).unwrap(), None);
        turn(&mut pool, "2027-02-10T00:00:00Z");
        assert_eq!(split(&pool), (0, 30));
        assert_eq!(pool.terms.subscription, None);
        assert_eq!(pool.due_at(), None);
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":2}"#, "2027-04-01T00:00:00Z");
        assert_eq!(split(&pool), (800, 30));
    }

    #[test]
    fn taking_a_cancellation_back_grants_nothing() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        spend(&mut pool, 400);
        let change = pool.cancel(None, at("2027-01-12T00:00:00Z")).unwrap().unwrap();
        apply(&mut pool, &change);
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":1}"#, "2027-01-13T00:00:00Z");
        assert_eq!(split(&pool), (0, 0));
        assert_eq!(pool.next_refill().unwrap().to_string(), "2027-02-10");
    }

    #[test]
    fn grandfathered_email_pro_depends_on_the_account() {
        for (created, granted) in [("2025-12-17T00:00:00Z", 3_000), ("2025-12-18T00:00:00Z", 0)] {
            let mut pool = Pool::open("t".parse().unwrap());
            let body =
                format!(r#"{{"plan":"email_pro","seats":3,"account_created_at":"{created}"}}"#);
            subscribe(&mut pool, &body, "2027-01-10T00:00:00Z");
            assert_eq!(split(&pool).0, granted);
            assert_eq!(pool.next_refill().is_some(), granted > 0);
        }
    }

    #[test]
    fn a_closed_account_takes_no_change() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let change = pool.close(None, at("2027-01-12T00:00:00Z")).unwrap();
        apply(&mut pool, &change);
        assert_eq!(pool.due_change(at("2028-01-01T00:00:00Z")), None);
        assert_eq!(pool.close(None, at("2027-01-12T00:00:00Z")), None);
        assert!(matches!(pool.cancel(None, at("2027-01-12T00:00:00Z")), Err(Error::AccountClosed)));
        let again = request(r#"{"plan":"email"}"#);
        assert!(matches!(
            pool.subscribe(&again, at("2027-01-12T00:00:00Z")),
            Err(Error::AccountClosed)
        ));
    }

    #[test]
    fn terms_that_a_plan_cannot_have() {
        let pool = Pool::open("t".parse().unwrap());
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
            let refused = pool.subscribe(&request(body), at("2027-01-12T00:00:00Z"));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{body}");
        }
    }
}
