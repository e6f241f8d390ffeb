//! What happens to a pool's terms: a plan starts or changes, seats come and go, cycles turn,
//! a subscription is cancelled, an account is closed. Each is a [`Change`] that a pure function
//! decides from the pool as it was seen.

use jiff::civil::Date;

use super::cycle::Cycle;
use super::entry::{Entry, Kind};
use super::hold::MAX_SECONDS;
use super::plans::{Cadence, GrantTerms};
use super::pool::{Account, Effect, Next, Owing, Pool, Terms};
use super::statement::Tally;
use super::subscription::{Subscription, SubscriptionRequest};
use super::time::Time;
use super::{Credits, Error};

/// One change of a pool's terms: what it does to the credits, the terms after it, and the ledger
/// entries that tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The time that it belongs to; for a cycle that turns late, the start of the new one.
    pub at: Time,
    /// What it does to the credits.
    pub effect: Effect,
    /// The terms after it.
    pub terms: Terms,
    /// What the ledger says of it: an expiry, a grant, or both.
    pub entries: Vec<Entry>,
    /// What is counted from now on, where a cycle begins or the time after the last one.
    pub tally: Option<Tally>,
}

impl Change {
    /// Whether no lane may be open when it is made: what is charged after a grant spends the free
    /// credits of that first, what lapses must be there, all that a cycle used must be counted in it,
    /// and nothing is charged after an account was closed.
    #[must_use]
    pub fn ends_lanes(&self) -> bool {
        self.effect.is_grant() || self.tally.is_some() || self.terms.account == Account::Closed
    }
}

impl Pool {
    /// What the current plan grants for its seats.
    pub(super) fn monthly_grant(&self) -> Option<Credits> {
        let subscription = self.terms.subscription.as_ref()?;
        Some(granted(&self.terms, subscription, subscription.seats))
    }

    /// The turn of the cycle, if it is over: whatever was missed, the cycle after it is the one
    /// that holds `now`, with one grant.
    #[must_use]
    pub fn turn(&self, now: Time) -> Option<Change> {
        if !self.is_due(now) {
            return None;
        }
        if let Some(next) = self.terms.next.clone() {
            return Some(self.begin(next, now));
        }
        let old = self.terms.cycle?;
        let subscription = self.terms.subscription.clone()?;
        if subscription.cancelled {
            let terms = Terms { subscription: None, cycle: None, ..self.terms.clone() };
            let change = self.change(Effect::Reset(Credits::ZERO), terms, old.over_at(), now);
            return Some(self.counted_anew(change, old.end));
        }
        let cycle = Cycle::holding(subscription.started_at.day(), now.day());
        let renewed = Subscription { granted_seats: subscription.seats, ..subscription };
        let effect = match renewed.plan.cadence {
            Cadence::Monthly => Effect::Reset(granted(&self.terms, &renewed, renewed.seats)),
            Cadence::Once | Cadence::None => Effect::Keep,
        };
        let terms = Terms { subscription: Some(renewed), cycle: Some(cycle), ..self.terms.clone() };
        let change = self.change(effect, terms, old.over_at(), Time::start_of(cycle.start));
        Some(self.counted_anew(change, cycle.start))
    }

    /// A subscription as the billing system wants it from now on: the one that runs, with other
    /// seats or no longer cancelled; or a new one, which [`Pool::turn`] begins with a grant and a
    /// cycle of its own. `None` if all is so already, or if this comes late.
    ///
    /// Messages come in any order. One that is no newer than what was told of subscriptions before
    /// changes nothing; one that is older than a cancellation which came first is cancelled by that.
    /// Without a version a request is taken as it comes.
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
        if is_late(request.version, self.terms.billing_version) {
            return Ok(None);
        }
        self.check_open()?;
        let told = self.terms.account_created_at;
        if told.zip(request.account_created_at).is_some_and(|(told, again)| told != again) {
            return Err(Error::invalid("account_created_at", "was told otherwise before"));
        }
        let billing_version = request.version.or(self.terms.billing_version);
        if self.is_past(request) {
            return Ok(self.to(Terms { billing_version, ..self.terms.clone() }, now));
        }
        let account_created_at = told.or(request.account_created_at);
        let terms = Terms { account_created_at, billing_version, ..self.terms.clone() };
        let cancelled = self.is_cancelled(request);
        let change = match &self.terms.subscription {
            Some(current) if request.is_for(current) => {
                let agreed = request.included_credits;
                if agreed.is_some() && agreed != current.included_credits {
                    let detail = "was agreed otherwise when the team subscribed";
                    return Err(Error::invalid("included_credits", detail));
                }
                let asked = Subscription { seats: request.seats, cancelled, ..current.clone() };
                self.adjust(current, &asked, terms, now)
            }
            Some(_) | None => {
                let subscription = Subscription { cancelled, ..request.subscription(now) };
                let next = Some(Next { subscription, since: now });
                self.change(Effect::Keep, Terms { next, ..terms }, now, now)
            }
        };
        Ok((change.terms != self.terms).then_some(change))
    }

    /// Whether a cancellation came before the message that it cancels.
    fn is_cancelled(&self, request: &SubscriptionRequest) -> bool {
        is_late(request.version, self.terms.cancelled_version)
    }

    /// Whether a request tells of a subscription that another one has followed, or that has ended:
    /// it comes late or again, and must not bring a grant.
    fn is_past(&self, request: &SubscriptionRequest) -> bool {
        let has_ended = self.terms.subscription.is_none() && self.terms.newest_start.is_some();
        if has_ended && self.is_cancelled(request) {
            return true;
        }
        let days = self.terms.newest_start.zip(request.started_at);
        days.is_some_and(|(newest, start)| match self.terms.subscription {
            Some(_) => start.day() < newest.day(),
            None => start.day() <= newest.day(),
        })
    }

    fn adjust(
        &self,
        current: &Subscription,
        asked: &Subscription,
        terms: Terms,
        now: Time,
    ) -> Change {
        let granted_seats = current.granted_seats.max(asked.seats);
        let adjusted = Subscription { granted_seats, ..asked.clone() };
        let before = granted(&self.terms, current, current.granted_seats);
        let more = granted(&terms, &adjusted, granted_seats).above(before);
        let effect = if more.is_zero() { Effect::Keep } else { Effect::Grant(more) };
        self.change(effect, Terms { subscription: Some(adjusted), ..terms }, now, now)
    }

    fn begin(&self, next: Next, now: Time) -> Change {
        let Next { subscription, since } = next;
        let terms = Terms {
            cycle: Some(Cycle::holding(subscription.started_at.day(), now.day())),
            newest_start: Some(subscription.started_at),
            subscription: Some(subscription.clone()),
            next: None,
            ..self.terms.clone()
        };
        let grant = granted(&terms, &subscription, subscription.seats);
        let change = self.change(Effect::Reset(grant), terms, since, since);
        self.counted_anew(change, since.day())
    }

    /// The same change, from which on all is counted anew.
    fn counted_anew(&self, change: Change, since: Date) -> Change {
        let (kept, granted) = match change.effect {
            Effect::Reset(grant) => (Credits::ZERO, grant),
            Effect::Keep | Effect::Charge(_) | Effect::Purchase(_) | Effect::Grant(_) => {
                (self.balance.free(), Credits::ZERO)
            }
        };
        let number = self.tally.number.saturating_add(1);
        let tally = Tally { number, since: Some(since), kept, granted, ..Tally::default() };
        Change { tally: Some(tally), ..change }
    }

    /// The subscription ends with its cycle. `None` if it does so already, or if this comes late.
    ///
    /// A message that comes before what it cancels is remembered, and one that tells of an older
    /// subscription than the one that is known is as well.
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
        Ok(self.to(terms, now))
    }

    /// The account is closed for good. `None` if it is already, or if this comes late.
    #[must_use]
    pub fn close(&self, version: Option<u64>, now: Time) -> Option<Change> {
        if is_late(version, self.terms.billing_version) {
            return None;
        }
        let billing_version = version.or(self.terms.billing_version);
        let account = Account::Closed;
        self.to(Terms { account, billing_version, ..self.terms.clone() }, now)
    }

    /// The change to other terms that leaves the credits alone; `None` if they are the same.
    fn to(&self, terms: Terms, now: Time) -> Option<Change> {
        (terms != self.terms).then(|| self.change(Effect::Keep, terms, now, now))
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
        effect: Effect,
        mut terms: Terms,
        lapsed_at: Time,
        granted_at: Time,
    ) -> Change {
        let epoch = self.epoch.saturating_add(1);
        if effect.is_grant() {
            terms.owing.retain(|owing| owing.ended_at.plus_seconds(MAX_SECONDS) > granted_at);
            if self.balance.is_below_mark() {
                terms.owing.push(Owing {
                    epoch: self.epoch,
                    reset_epoch: self.terms.reset_epoch,
                    ended_at: granted_at,
                });
            }
        }
        if matches!(effect, Effect::Reset(_)) {
            terms.reset_epoch = epoch;
        }
        let (lapsed, grant) = match effect {
            Effect::Reset(grant) => (self.balance.free(), grant),
            Effect::Grant(grant) => (Credits::ZERO, grant),
            Effect::Keep | Effect::Charge(_) | Effect::Purchase(_) => {
                (Credits::ZERO, Credits::ZERO)
            }
        };
        let plan = |terms: &Terms| {
            terms.subscription.as_ref().map(|subscription| subscription.plan.name.to_owned())
        };
        let rows = [
            (Kind::Expiry, lapsed.lost(), lapsed_at, plan(&self.terms)),
            (Kind::Grant, grant.gained(), granted_at, plan(&terms)),
        ];
        let entries = rows
            .into_iter()
            .filter(|(_, credits, _, _)| *credits != 0)
            .map(|(kind, credits, at, plan)| {
                let entry = Entry::of_epoch(&self.team, kind, epoch, at);
                Entry { credits, plan, ..entry }
            })
            .collect();
        Change { at: granted_at, effect, terms, entries, tally: None }
    }
}

/// Whether a message is no newer than what is known.
fn is_late(version: Option<u64>, newest: Option<u64>) -> bool {
    version.zip(newest).is_some_and(|(version, newest)| version <= newest)
}

fn granted(terms: &Terms, subscription: &Subscription, seats: u32) -> Credits {
    subscription.plan.grant(GrantTerms {
        seats,
        account_created_at: terms.account_created_at.unwrap_or(subscription.started_at),
        included_credits: subscription.included_credits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn request(body: &str) -> SubscriptionRequest {
        serde_json::from_str(body).unwrap()
    }

    fn apply(pool: &mut Pool, change: Change) {
        pool.balance = pool.balance.after(change.effect).unwrap();
        pool.terms = change.terms;
        pool.epoch += u64::from(change.effect.is_grant());
    }

    fn subscribe(pool: &mut Pool, body: &str, now: &str) {
        if let Some(change) = pool.subscribe(&request(body), at(now)).unwrap() {
            let begins = change.terms.next.is_some();
            apply(pool, change);
            if begins {
                turn(pool, now);
            }
        }
    }

    fn spend(pool: &mut Pool, credits: u64) {
        pool.balance = pool.balance.after(Effect::Charge(Credits::new(credits))).unwrap();
    }

    fn turn(pool: &mut Pool, now: &str) {
        let change = pool.turn(at(now)).unwrap();
        apply(pool, change);
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
        assert_eq!(pool.turn(at("2027-02-27T23:59:59.999Z")), None);
        let change = pool.turn(at("2027-02-28T00:00:00Z")).unwrap();
        let told: Vec<(Kind, i64)> = change.entries.iter().map(|e| (e.kind, e.credits)).collect();
        assert_eq!(told, [(Kind::Expiry, -200), (Kind::Grant, 1_200)]);
        apply(&mut pool, change);
        assert_eq!(split(&pool), (1_200, 0));
        assert_eq!(pool.turn(at("2027-02-28T00:00:00Z")), None);
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
        assert_eq!(pool.terms.subscription.as_ref().unwrap().plan.name, "enterprise");
        assert_eq!((split(&pool), pool.epoch), ((400, 0), 2), "two grants, the second one's");
        let change = pool.cancel(None, at("2027-01-13T00:00:00Z")).unwrap().unwrap();
        apply(&mut pool, change);
        turn(&mut pool, "2027-02-12T00:00:00Z");
        subscribe(&mut pool, enterprise, "2027-02-13T00:00:00Z");
        assert_eq!((split(&pool), pool.terms.subscription.clone()), ((0, 0), None));
    }

    #[test]
    fn nothing_is_charged_until_the_next_subscription_has_begun() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool.subscribe(&request(r#"{"plan":"enterprise"}"#), now).unwrap().unwrap();
        assert_eq!((change.effect, change.entries.len()), (Effect::Keep, 0));
        apply(&mut pool, change);
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
        apply(&mut pool, change);
        for version in [0, 6, 7] {
            assert_eq!(pool.subscribe(&told(version, 4), now).unwrap(), None);
        }
        let same = pool.subscribe(&told(8, 3), now).unwrap().unwrap();
        assert_eq!((same.effect, same.entries.len()), (Effect::Keep, 0), "only remembered");
        apply(&mut pool, same);
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":4}"#, "2027-01-20T09:00:00Z");
        assert_eq!((split(&pool), pool.terms.billing_version), ((1_600, 0), Some(8)));
        // What is late is no error, whatever it asks for.
        let close = pool.close(Some(9), now).unwrap();
        apply(&mut pool, close);
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
        apply(&mut pool, change);
        let begun = |pool: &mut Pool, version, seats| {
            let change = pool.subscribe(&told(version, seats), now).unwrap().unwrap();
            apply(pool, change);
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
        assert_eq!((remembered.effect, remembered.terms.next), (Effect::Keep, None), "it is over");
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
        pool.balance = pool.balance.after(Effect::Purchase(Credits::new(70))).unwrap();
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
        pool.balance = pool.balance.after(Effect::Purchase(Credits::new(30))).unwrap();
        let change = pool.cancel(None, at("2027-01-12T00:00:00Z")).unwrap().unwrap();
        apply(&mut pool, change);
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
        apply(&mut pool, change);
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
        apply(&mut pool, change);
        assert_eq!(pool.turn(at("2028-01-01T00:00:00Z")), None);
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
            r#"{"plan":"email","started_at":"2027-02-01T00:00:00Z"}"#,
        ];
        for body in bodies {
            let refused = pool.subscribe(&request(body), at("2027-01-12T00:00:00Z"));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{body}");
        }
        assert!(serde_json::from_str::<SubscriptionRequest>(r#"{"plan":"platinum"}"#).is_err());
    }
}
