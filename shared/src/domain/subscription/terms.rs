//! Changes of a pool's terms: subscriptions begin, are renewed and end. A pure function derives each
//! [`Change`] from the pool as it was read. [`messages`](super::messages) derives those of requests.

use jiff::civil::Date;

use crate::domain::catalogue::plans::Cadence;
use crate::domain::credits::TooMany;
use crate::domain::ledger::entry::{Details, Entry, Lapsed, OfCycle};
use crate::domain::pool::balance::BalanceChange;
use crate::domain::pool::epochs::Owed;
use crate::domain::pool::totals::CycleTotals;
use crate::domain::pool::usage::Usage;
use crate::domain::pool::{Account, NextSubscription, OwedChange, Pool, Terms};
use crate::domain::subscription::Subscription;
use crate::domain::subscription::cycle::Cycle;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A change of a pool's terms: its effect on the balance, the new terms and the ledger entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Holds that expire by this time are returned before the change.
    pub at: Time,
    /// The effect on the balance.
    pub balance_change: BalanceChange,
    /// The new terms.
    pub terms: Terms,
    /// The ledger entries: an expiry, a grant, or both.
    pub entries: Vec<Entry>,
    /// The totals of the cycle, or time between two subscriptions, that begins; `None` if none
    /// begins.
    pub totals: Option<CycleTotals>,
}

impl Change {
    /// Whether all lanes are returned before the change: a charge after a grant spends the new free
    /// credits first, credits that lapse must be in the pool, the usage of a cycle counts in that
    /// cycle, and a closed account accepts no charge.
    #[must_use]
    pub fn ends_lanes(&self) -> bool {
        self.balance_change.is_grant()
            || self.totals.is_some()
            || self.terms.account == Account::Closed
    }
}

impl Pool {
    /// Checks that the account is not closed.
    ///
    /// # Errors
    /// [`Error::AccountClosed`].
    pub const fn check_open(&self) -> Result<(), Error> {
        match self.terms.account {
            Account::Active => Ok(()),
            Account::Closed => Err(Error::AccountClosed),
        }
    }

    /// The day of the next refill; `None` if no refill follows.
    #[must_use]
    pub fn next_refill(&self) -> Option<Date> {
        let subscription = self.terms.subscription.as_ref()?;
        let is_monthly = subscription.grant.cadence == Cadence::Monthly;
        let is_renewed = is_monthly && !subscription.cancelled && self.check_open().is_ok();
        let grant = granted(&self.terms, subscription, subscription.seats);
        self.terms.cycle.filter(|_| is_renewed && grant != Ok(Credits::ZERO)).map(|cycle| cycle.end)
    }

    /// The change that is due at `now`, if there is one: the next or the scheduled subscription
    /// begins, or the cycle ends. After missed cycles, the one that contains `now` begins, with one
    /// grant.
    ///
    /// # Errors
    /// [`TooMany`] if the grant is larger than [`Credits::MAX`].
    pub fn due_change(&self, now: Time) -> Result<Option<Change>, TooMany> {
        if !self.is_due(now) {
            return Ok(None);
        }
        if let Some(NextSubscription { subscription, since }) = &self.terms.next {
            let at = now.max(*since);
            return self.subscription_start(subscription, at, at, now).map(Some);
        }
        let scheduled = self.terms.scheduled.as_ref();
        if let Some(subscription) = scheduled.filter(|scheduled| scheduled.started_at <= now) {
            let start = subscription.started_at;
            let lapsed_at = self.free_credits_end().map_or(start, |end| end.min(start));
            return self.subscription_start(subscription, lapsed_at, start, now).map(Some);
        }
        let current = self.terms.cycle.zip(self.terms.subscription.as_ref());
        let Some((cycle, subscription)) = current else { return Ok(None) };
        if subscription.cancelled {
            return Ok(Some(self.end_subscription(cycle, now)));
        }
        self.renew(cycle, subscription.clone(), now).map(Some)
    }

    /// The end of the cycle, if the free credits lapse with it.
    fn free_credits_end(&self) -> Option<Time> {
        let subscription = self.terms.subscription.as_ref()?;
        let lapses = subscription.cancelled || subscription.grant.cadence == Cadence::Monthly;
        self.terms.cycle.filter(|_| lapses).map(Cycle::ends_at)
    }

    /// Begins a subscription at `at`. The free credits of the previous one lapse at `lapsed_at`.
    fn subscription_start(
        &self,
        subscription: &Subscription,
        lapsed_at: Time,
        at: Time,
        now: Time,
    ) -> Result<Change, TooMany> {
        let anchor = subscription.started_at;
        let cycle = Cycle::containing(anchor.day(), now.max(at).day());
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
        let grant = granted(&terms, subscription, subscription.seats)?;
        let change = self.change(BalanceChange::Reset(grant), terms, lapsed_at, at);
        Ok(self.with_new_totals(change, at.day()))
    }

    /// Ends a cancelled subscription with its last cycle.
    fn end_subscription(&self, cycle: Cycle, now: Time) -> Change {
        let terms = Terms { subscription: None, cycle: None, ..self.terms.clone() };
        let reset = BalanceChange::Reset(Credits::ZERO);
        self.with_new_totals(self.change(reset, terms, cycle.ends_at(), now), cycle.end)
    }

    /// Begins the cycle that contains `now`. A one-time grant is kept and not repeated.
    fn renew(
        &self,
        ended: Cycle,
        subscription: Subscription,
        now: Time,
    ) -> Result<Change, TooMany> {
        let cycle = Cycle::containing(subscription.started_at.day(), now.day());
        let renewed = Subscription { granted_seats: subscription.seats, ..subscription };
        let balance_change = match renewed.grant.cadence {
            Cadence::Monthly => {
                BalanceChange::Reset(granted(&self.terms, &renewed, renewed.seats)?)
            }
            Cadence::Once | Cadence::None => BalanceChange::Keep,
        };
        let terms = Terms {
            subscription: Some(renewed),
            cycle: Some(cycle),
            cycle_version: self.terms.billing_version,
            ..self.terms.clone()
        };
        let change =
            self.change(balance_change, terms, ended.ends_at(), Time::start_of(cycle.start));
        Ok(self.with_new_totals(change, cycle.start))
    }

    /// The same change with totals that start at 0.
    fn with_new_totals(&self, change: Change, since: Date) -> Change {
        let (kept, granted) = match change.balance_change {
            BalanceChange::Reset(grant) => (Credits::ZERO, grant),
            BalanceChange::Keep
            | BalanceChange::Charge(_)
            | BalanceChange::Purchase(_)
            | BalanceChange::Grant(_) => (self.balance.free(), Credits::ZERO),
        };
        let number = self.totals.number.saturating_add(1);
        let totals =
            CycleTotals { number, since: Some(since), kept, granted, ..CycleTotals::default() };
        Change { totals: Some(totals), ..change }
    }

    /// A change with its ledger entries: an expiry of the free credits that a reset ends, and a
    /// grant. Amounts of 0 have no entry.
    pub(super) fn change(
        &self,
        balance_change: BalanceChange,
        mut terms: Terms,
        lapsed_at: Time,
        granted_at: Time,
    ) -> Change {
        let epoch = self.epoch.saturating_add(1);
        let (lapsed, grant) = match balance_change {
            BalanceChange::Reset(grant) => (self.balance.free(), grant),
            BalanceChange::Grant(grant) => (Credits::ZERO, grant),
            BalanceChange::Keep | BalanceChange::Charge(_) | BalanceChange::Purchase(_) => {
                (Credits::ZERO, Credits::ZERO)
            }
        };
        let is_reset = matches!(balance_change, BalanceChange::Reset(_));
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
        Change { at, balance_change, terms, entries, totals: None }
    }

    /// Applies a change that was derived from this pool.
    ///
    /// # Errors
    /// [`Error::Internal`] if an amount becomes larger than [`Credits::MAX`].
    pub fn apply(&mut self, change: &Change) -> Result<(), Error> {
        if change.balance_change.is_grant() {
            let used = self.balance.mark.excess_over(self.balance.credits);
            match self.owed_change() {
                OwedChange::Clear => self.owed = Owed::default(),
                OwedChange::Keep => {}
                OwedChange::Add(group) => self.owed.add(group, used)?,
            }
            self.epoch = self.epoch.saturating_add(1);
            self.refused = None;
        }
        self.balance = self.balance.after(change.balance_change).ok_or(TooMany)?;
        self.version = self.version.saturating_add(1);
        self.terms = change.terms.clone();
        match (&change.totals, change.balance_change) {
            (Some(totals), _) => {
                self.totals = *totals;
                self.used = Usage::default();
            }
            (None, BalanceChange::Grant(more)) => {
                self.totals.granted = self.totals.granted.try_add(more)?;
            }
            (None, _) => {}
        }
        Ok(())
    }
}

/// The free credits of one grant of a subscription to `seats` seats.
///
/// # Errors
/// [`TooMany`] if they are more than [`Credits::MAX`].
pub(super) fn granted(
    terms: &Terms,
    subscription: &Subscription,
    seats: u32,
) -> Result<Credits, TooMany> {
    let created_at = terms.account_created_at.unwrap_or(subscription.started_at);
    subscription.grant.grant(seats, created_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::catalogue::fixtures::catalogue;
    use crate::domain::ledger::entry::Kind;
    use crate::domain::subscription::fixtures::{
        apply_due, at, cancel, expert, new_pool, purchase, request, spend, split, subscribe,
    };

    #[test]
    fn a_cycle_ends_once_at_its_boundary() {
        let mut pool = expert(3, "2027-01-31T10:00:00Z");
        spend(&mut pool, 1_000);
        assert_eq!(pool.due_change(at("2027-02-27T23:59:59.999Z")), Ok(None));
        let change = pool.due_change(at("2027-02-28T00:00:00Z")).unwrap().unwrap();
        let entries: Vec<(Kind, i64)> =
            change.entries.iter().map(|entry| (entry.kind(), entry.credits)).collect();
        assert_eq!(entries, [(Kind::Expiry, -200), (Kind::Grant, 1_200)]);
        pool.apply(&change).unwrap();
        assert_eq!(split(&pool), (1_200, 0));
        assert_eq!(pool.due_change(at("2027-02-28T00:00:00Z")), Ok(None));
        assert_eq!(pool.next_refill().unwrap().to_string(), "2027-03-31");
    }

    #[test]
    fn missed_cycles_bring_one_grant() {
        let mut pool = expert(1, "2027-01-31T10:00:00Z");
        apply_due(&mut pool, "2027-06-15T00:00:00Z");
        assert_eq!(split(&pool), (400, 0));
        let cycle = pool.terms.cycle.unwrap();
        assert_eq!(cycle.start.to_string(), "2027-05-31");
        assert_eq!(cycle.end.to_string(), "2027-06-30");
    }

    #[test]
    fn a_pool_is_due_until_the_next_subscription_begins() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        let now = at("2027-01-20T09:00:00Z");
        let change = pool
            .subscribe(&request(r#"{"plan":"enterprise"}"#), &catalogue(), now)
            .unwrap()
            .unwrap();
        assert_eq!((change.balance_change, change.entries.len()), (BalanceChange::Keep, 0));
        pool.apply(&change).unwrap();
        assert!(pool.is_due(now));
        apply_due(&mut pool, "2027-01-20T09:00:01Z");
        assert!(!pool.is_due(now));
        assert_eq!(pool.terms.next, None);
    }

    #[test]
    fn a_plan_change_lapses_free_credits_and_starts_a_cycle() {
        let mut pool = expert(2, "2027-01-10T00:00:00Z");
        purchase(&mut pool, 70);
        subscribe(&mut pool, r#"{"plan":"enterprise"}"#, "2027-01-20T09:00:00Z");
        assert_eq!(split(&pool), (400, 70));
        assert_eq!(pool.terms.cycle.unwrap().start.to_string(), "2027-01-20");
        assert_eq!(pool.next_refill(), None);
    }

    #[test]
    fn a_one_time_grant_is_kept_and_not_repeated() {
        let mut pool = new_pool();
        let enterprise = r#"{"plan":"enterprise","included_credits":900}"#;
        subscribe(&mut pool, enterprise, "2027-01-20T09:00:00Z");
        spend(&mut pool, 100);
        apply_due(&mut pool, "2027-02-20T00:00:00Z");
        assert_eq!(split(&pool), (800, 0));
        assert_eq!(pool.terms.cycle.unwrap().start.to_string(), "2027-02-20");
    }

    #[test]
    fn a_cancelled_plan_keeps_its_free_credits_until_the_cycle_ends() {
        let mut pool = expert(1, "2027-01-10T00:00:00Z");
        purchase(&mut pool, 30);
        cancel(&mut pool, None, "2027-01-12T00:00:00Z");
        assert_eq!((split(&pool), pool.next_refill()), ((400, 30), None));
        assert_eq!(pool.cancel(None, at("2027-01-13T00:00:00Z")).unwrap(), None);
        apply_due(&mut pool, "2027-02-10T00:00:00Z");
        assert_eq!(split(&pool), (0, 30));
        assert_eq!(pool.terms.subscription, None);
        assert_eq!(pool.due_at(), None);
        subscribe(&mut pool, r#"{"plan":"multichannel_expert","seats":2}"#, "2027-04-01T00:00:00Z");
        assert_eq!(split(&pool), (800, 30));
    }

    #[test]
    fn email_pro_grant_depends_on_account_created_at() {
        for (created, granted) in [("2025-12-17T00:00:00Z", 3_000), ("2025-12-18T00:00:00Z", 0)] {
            let mut pool = new_pool();
            let body =
                format!(r#"{{"plan":"email_pro","seats":3,"account_created_at":"{created}"}}"#);
            subscribe(&mut pool, &body, "2027-01-10T00:00:00Z");
            assert_eq!(split(&pool).0, granted);
            assert_eq!(pool.next_refill().is_some(), granted > 0);
        }
    }
}
