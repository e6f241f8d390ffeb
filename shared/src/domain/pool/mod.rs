//! A team's pool: its balance, its terms and the counters of its current cycle.

pub mod balance;
pub mod enrichment;
pub mod epochs;
pub mod refusal;
pub mod spend;
pub mod top_ups;
pub mod totals;
pub mod usage;

use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::hold::{Hold, Origin};
use crate::domain::ids::{Id, TeamId};
use crate::domain::pool::balance::Balance;
use crate::domain::pool::epochs::{Group, Owed};
use crate::domain::pool::refusal::StoredRefusal;
use crate::domain::pool::spend::WeeklySpend;
use crate::domain::pool::top_ups::TopUps;
use crate::domain::pool::totals::CycleTotals;
use crate::domain::pool::usage::Usage;
use crate::domain::settings::Settings;
use crate::domain::subscription::Subscription;
use crate::domain::subscription::cycle::Cycle;
use crate::domain::time::Time;

/// A team's pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The team.
    pub team: TeamId,
    /// The credits and the mark.
    #[serde(flatten)]
    pub balance: Balance,
    /// The credits of all open holds, captured ones included.
    pub held: Credits,
    /// The number of open holds.
    #[serde(default)]
    pub open_holds: u64,
    /// The sum of the checksums of the open holds. A reader compares it to detect holds that have changed since it read
    /// the pool.
    #[serde(default)]
    pub hold_sum: i64,
    /// The epoch of the newest hold.
    #[serde(default)]
    pub hold_epoch: u64,
    /// The credits of all open lanes, spent ones included.
    pub lanes: Credits,
    /// The number of writes that opened, extended or returned lanes. A reader compares it to detect
    /// them.
    pub lane_moves: u64,
    /// Until this instant a process returns all lanes for a change. No charge opens or extends a
    /// lane, and other processes wait with their changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing_until: Option<Time>,
    /// The number of grants: the current epoch. A hold stores the epoch in which it was taken.
    pub epoch: u64,
    /// The purchased credits that earlier epochs used and that open holds may still return.
    #[serde(default)]
    pub owed: Owed,
    /// The number of changes of the terms. A change of terms is conditional on it.
    pub version: u64,
    /// The terms of grants. Charges and purchases do not change them.
    pub terms: Terms,
    /// The usage in the current cycle.
    #[serde(default)]
    pub used: Usage,
    /// The other totals of the current cycle.
    #[serde(default)]
    pub totals: CycleTotals,
    /// The recent spending by week.
    #[serde(default)]
    pub weeks: WeeklySpend,
    /// The start of the current pause of enrichment; `None` while it is running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Time>,
    /// The number of pauses of enrichment so far.
    #[serde(default)]
    pub pauses: u64,
    /// A refused charge: the first one since credits were last added or enrichment was restarted, or
    /// the one that paused enrichment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<StoredRefusal>,
    /// The settings of the team's admins.
    #[serde(default)]
    pub settings: Settings,
    /// The automatic top-ups of the newest month with any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_ups: Option<TopUps>,
    /// The automatic top-up whose payment failed; removed when an admin puts the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_top_up: Option<Id>,
    /// The number of purchases that are neither paid nor failed.
    #[serde(default, rename = "pending")]
    pub pending_purchases: u64,
    /// Whether an automatic top-up waits for pending purchases.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_up_waits: bool,
    /// The newest `top-up.due` event whose top-up had to wait. Another event follows it.
    #[serde(default, rename = "waited", skip_serializing_if = "Option::is_none")]
    pub waited_top_up: Option<Id>,
}

/// The state that grants depend on: the account, the subscription and the order of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The status of the account.
    pub account: Account,
    /// The creation of the account, if a message has stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_created_at: Option<Time>,
    /// The current subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// The epoch that began with the last reset. The free credits of earlier epochs have lapsed.
    pub reset_epoch: u64,
    /// The current cycle, while there is a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// The start of the newest subscription, ended or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_start: Option<Time>,
    /// A subscription that is due to begin, independent of any clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextSubscription>,
    /// A subscription that begins at its `started_at`, a later time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Subscription>,
    /// The last versions of messages that scheduled a subscription since the current one began, in
    /// ascending order. Such a message changes nothing if it is repeated, even after its version was
    /// dropped from a full list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled_versions: Vec<u64>,
    /// The version of the newest message that changed the subscription or closed the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_version: Option<u64>,
    /// The version of the newest message with a start. A message that is not newer neither schedules
    /// a subscription nor replaces the scheduled one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_version: Option<u64>,
    /// The version of the newest cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_version: Option<u64>,
    /// `billing_version` when the current cycle began. Later versions belong to this cycle in any
    /// order of arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_version: Option<u64>,
    /// The version of the message with the start of the current subscription, if the previous one had
    /// the same plan. An older message without a start refers to the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_version: Option<u64>,
}

impl Terms {
    /// The version of the newest message from the billing system.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.billing_version.max(self.start_version).max(self.cancelled_version)
    }
}

/// A subscription that replaces the current one. Until it begins, the pool accepts no charge. So the
/// free credits that lapse are final once all lanes are returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// The time of its request.
    pub since: Time,
}

/// The effect of a grant on [`Pool::owed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedChange {
    /// Removes all groups: no hold is open, so nothing can return.
    Clear,
    /// No change: no purchased credits were used, or no hold was taken since the last reset.
    Keep,
    /// Adds the purchased credits used to this group, the ending epoch's.
    Add(Group),
}

/// The status of a team's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AccountStatus))]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// The account can be used.
    Active,
    /// Closed for good.
    Closed,
}

impl Pool {
    /// The empty pool of a new team.
    #[must_use]
    pub fn open(team: TeamId) -> Self {
        Self {
            team,
            balance: Balance::default(),
            held: Credits::ZERO,
            open_holds: 0,
            hold_sum: 0,
            hold_epoch: 0,
            lanes: Credits::ZERO,
            lane_moves: 0,
            changing_until: None,
            epoch: 0,
            owed: Owed::default(),
            version: 0,
            terms: Terms {
                account: Account::Active,
                account_created_at: None,
                subscription: None,
                reset_epoch: 0,
                cycle: None,
                newest_start: None,
                next: None,
                scheduled: None,
                billing_version: None,
                start_version: None,
                cancelled_version: None,
                cycle_version: None,
                named_version: None,
                scheduled_versions: Vec::new(),
            },
            used: Usage::default(),
            totals: CycleTotals::default(),
            weeks: WeeklySpend::default(),
            paused_at: None,
            pauses: 0,
            refused: None,
            settings: Settings::default(),
            top_ups: None,
            failed_top_up: None,
            pending_purchases: 0,
            top_up_waits: false,
            waited_top_up: None,
        }
    }

    /// The instant of the next due change: the end of the cycle or the start of a scheduled
    /// subscription, and [`Time::EPOCH`] for a subscription in `next`. From then on the pool accepts
    /// no charge before [`Pool::due_change`] is applied. `None` if no change is due later.
    #[must_use]
    pub fn due_at(&self) -> Option<Time> {
        let Terms { account, next, cycle, scheduled, .. } = &self.terms;
        if *account == Account::Closed {
            return None;
        }
        if next.is_some() {
            return Some(Time::EPOCH);
        }
        let start = scheduled.as_ref().map(|scheduled| scheduled.started_at);
        cycle.map(Cycle::ends_at).into_iter().chain(start).min()
    }

    /// Whether a change is due.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.due_at().is_some_and(|due| due <= now)
    }

    /// Whether a process returns all lanes for a change now.
    #[must_use]
    pub fn is_changing(&self, now: Time) -> bool {
        self.changing_until.is_some_and(|until| until > now)
    }

    /// The state that a hold taken now stores.
    #[must_use]
    pub fn hold_origin(&self) -> Origin {
        let reset_epoch = self.terms.reset_epoch;
        Origin { epoch: self.epoch, reset_epoch, pause: self.pause() }
    }

    /// The effect of a grant on `owed`.
    #[must_use]
    pub fn owed_change(&self) -> OwedChange {
        if self.open_holds == 0 {
            OwedChange::Clear
        } else if !self.balance.is_below_mark() || self.hold_epoch < self.terms.reset_epoch {
            OwedChange::Keep
        } else {
            OwedChange::Add(Group { reset_epoch: self.terms.reset_epoch, epoch: self.epoch })
        }
    }

    /// Returns the remaining credits of a hold to the pool, as if the hold had never been taken.
    /// Returns the free credits that lapse because their cycle is over.
    ///
    /// Without the hold, its epoch and then the later ones until the next reset would have used fewer
    /// purchased credits. So purchased credits return up to the amount owed to these epochs, oldest
    /// first. The rest is free: it returns while its cycle runs and lapses after it. A pool that was read before the hold
    /// was taken lacks its counts; they end at 0.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn receive_hold(&mut self, hold: &Hold, now: Time) -> Result<Credits, TooMany> {
        self.held = self.held.excess_over(hold.credits);
        self.open_holds = self.open_holds.saturating_sub(1);
        self.hold_sum = self.hold_sum.saturating_sub(hold.checksum());
        let lapsed = self.receive(hold, now)?;
        self.totals.expired = self.totals.expired.try_add(lapsed)?;
        Ok(lapsed)
    }

    /// Returns the remaining credits of a lane to the pool. No lane outlives a reset, so none of them
    /// lapse.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn receive_lane(&mut self, lane: &Hold, now: Time) -> Result<(), TooMany> {
        self.lanes = self.lanes.excess_over(lane.credits);
        self.receive(lane, now).map(drop)
    }

    /// Adds the remaining credits of a hold or lane, and counts its charges. Returns the free credits
    /// that lapse.
    fn receive(&mut self, hold: &Hold, now: Time) -> Result<Credits, TooMany> {
        self.used.merge(&hold.used)?;
        self.weeks.add(hold.used.spent()?, now)?;
        let group = Group { reset_epoch: hold.reset_epoch, epoch: hold.epoch };
        let purchased = self.owed.take(group, hold.remaining);
        self.balance.mark = self.balance.mark.try_add(purchased)?;
        let is_over = hold.reset_epoch != self.terms.reset_epoch;
        let lapsed = if is_over { hold.remaining.excess_over(purchased) } else { Credits::ZERO };
        let returned = hold.remaining.excess_over(lapsed);
        self.balance.credits = self.balance.credits.try_add(returned)?;
        Ok(lapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pool whose third epoch, the second since a reset, used 40 purchased credits.
    fn pool_below_the_mark(open_holds: u64, hold_epoch: u64) -> Pool {
        let mut pool = Pool::open("t".parse().unwrap());
        (pool.epoch, pool.terms.reset_epoch) = (3, 2);
        (pool.open_holds, pool.hold_epoch) = (open_holds, hold_epoch);
        pool.balance = Balance { credits: Credits::new(60), mark: Credits::new(100) };
        pool
    }

    #[test]
    fn a_pool_without_open_holds_owes_nothing() {
        assert_eq!(pool_below_the_mark(0, 3).owed_change(), OwedChange::Clear);
        assert_eq!(pool_below_the_mark(0, 1).owed_change(), OwedChange::Clear);
    }

    #[test]
    fn a_grant_adds_the_used_credits_to_the_group_of_its_epoch() {
        let group = Group { reset_epoch: 2, epoch: 3 };
        assert_eq!(pool_below_the_mark(1, 3).owed_change(), OwedChange::Add(group));
        assert_eq!(pool_below_the_mark(1, 1).owed_change(), OwedChange::Keep, "an older hold");
        let mut above = pool_below_the_mark(1, 3);
        above.balance.credits = Credits::new(100);
        assert_eq!(above.owed_change(), OwedChange::Keep, "no purchased credits were used");
    }
}
