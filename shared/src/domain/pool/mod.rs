//! A team's pool: its balance, its terms, and the counters of its current cycle.

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
use crate::domain::pool::refusal::Refused;
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
    /// What it holds.
    #[serde(flatten)]
    pub balance: Balance,
    /// The sum of the open holds' credits, captured or not.
    pub held: Credits,
    /// The number of open holds.
    #[serde(default)]
    pub open_holds: u64,
    /// The epoch in which the newest hold was taken.
    #[serde(default)]
    pub hold_epoch: u64,
    /// The sum of the open lanes' credits, spent or not.
    pub lanes: Credits,
    /// Counts the lanes that were opened, extended or returned. Between two equal values none was.
    pub lane_moves: u64,
    /// Until this instant one process makes a change that needs all lanes returned: no lane is opened
    /// or extended, and other processes wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing_until: Option<Time>,
    /// Counts the grants. What a hold returns depends on the epoch in which it was taken.
    pub epoch: u64,
    /// The purchased credits that earlier epochs used and that open holds may still bring back.
    #[serde(default)]
    pub owed: Owed,
    /// Counts the changes of the terms. A write that was decided on older terms must not land.
    pub version: u64,
    /// All that charges and purchases do not touch.
    pub terms: Terms,
    /// What the team does with its credits in this cycle.
    #[serde(default)]
    pub used: Usage,
    /// What came and went otherwise in this cycle.
    #[serde(default)]
    pub tally: CycleTotals,
    /// What was spent lately.
    #[serde(default)]
    pub weeks: WeeklySpend,
    /// Since when enrichment is paused, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Time>,
    /// Counts the pauses of enrichment.
    #[serde(default)]
    pub pauses: u64,
    /// The first charge that was refused since credits last came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What the team's admins have chosen.
    #[serde(default)]
    pub settings: Settings,
    /// What it buys by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_ups: Option<TopUps>,
    /// The automatic top-up whose payment has failed, until an admin puts the settings anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_top_up: Option<Id>,
    /// The number of purchases that are neither paid nor failed.
    #[serde(default)]
    pub pending_purchases: u64,
    /// Whether an automatic top-up waits until no purchase is pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub top_up_waits: bool,
    /// The newest event of a top-up that had to wait. Another event follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_top_up: Option<Id>,
}

/// What a pool's grants depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Whether the account is in use.
    pub account: Account,
    /// When the account was created, once that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_created_at: Option<Time>,
    /// The plan and its seats, while there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<Subscription>,
    /// The epoch that the last reset began; the free credits of earlier ones have lapsed.
    pub reset_epoch: u64,
    /// The current cycle, while there is a subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    /// When the newest subscription started, whatever has become of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_start: Option<Time>,
    /// A subscription that begins before anything else is decided, whatever a clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
    /// A subscription that begins at its `started_at`, which was in the future.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<Subscription>,
    /// The versions of the messages that scheduled a subscription since the current one began, the
    /// last of them. Repeated, they change nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled_versions: Vec<u64>,
    /// The version of the newest message that changed the subscription or closed the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_version: Option<u64>,
    /// The version of the newest message that named a start. A scheduled subscription is of it, or
    /// was replaced by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_version: Option<u64>,
    /// The version of the newest cancellation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_version: Option<u64>,
    /// `billing_version` when the current cycle began. Later versions belong to this cycle, even if
    /// they arrive in another order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_version: Option<u64>,
    /// The version of the message that named the start of the current subscription, if the one before
    /// was of the same plan. Older messages that name no start mean that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_version: Option<u64>,
}

impl Terms {
    /// The version of the newest message of the billing system.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.billing_version.max(self.start_version).max(self.cancelled_version)
    }
}

/// A subscription that takes the place of the current one. While it waits, nothing can be charged to
/// the pool, so that the free credits that lapse with the old one stand still once all lanes are
/// returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The subscription.
    pub subscription: Subscription,
    /// When it was asked for.
    pub since: Time,
}

/// See [`Pool::owed_step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwedStep {
    /// No hold is open, so nothing can come back.
    Clear,
    /// Nothing is added: no purchased credits were used, or no hold was taken since the last reset.
    Keep,
    /// They are the group of the ending epoch.
    Add(Group),
}

/// Whether a team's account is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Account {
    /// In use.
    Active,
    /// Closed for good.
    Closed,
}

impl Account {
    /// The word that stands for it in an item and an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Closed => "closed",
        }
    }
}

impl Pool {
    /// The empty pool of a team that is new here.
    #[must_use]
    pub fn open(team: TeamId) -> Self {
        Self {
            team,
            balance: Balance::default(),
            held: Credits::ZERO,
            open_holds: 0,
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
            tally: CycleTotals::default(),
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

    /// The instant from which on nothing can be charged before [`Pool::due_change`] is made: the end
    /// of the cycle or the start of a scheduled subscription. A subscription in `next` is due whatever
    /// a clock says.
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
        cycle.map(Cycle::over_at).into_iter().chain(start).min()
    }

    /// Whether a change is due.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.due_at().is_some_and(|due| due <= now)
    }

    /// Whether another process makes a change now that needs all lanes returned.
    #[must_use]
    pub fn is_changing(&self, now: Time) -> bool {
        self.changing_until.is_some_and(|until| until > now)
    }

    /// What a hold takes over that is taken now.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let reset_epoch = self.terms.reset_epoch;
        Origin { epoch: self.epoch, reset_epoch, pause: self.pause() }
    }

    /// What a grant does with the purchased credits that the ending epoch used.
    #[must_use]
    pub fn owed_step(&self) -> OwedStep {
        if self.open_holds == 0 {
            OwedStep::Clear
        } else if !self.balance.is_below_mark() || self.hold_epoch < self.terms.reset_epoch {
            OwedStep::Keep
        } else {
            OwedStep::Add(Group { reset_epoch: self.terms.reset_epoch, epoch: self.epoch })
        }
    }

    /// Takes back what is left of a hold, as if it had never been taken. Returns the free credits
    /// among it that lapse because their cycle is over.
    ///
    /// Without the hold, its epoch would have used fewer purchased credits, and what free credits it
    /// had left would have spared those of the later epochs until the next reset. So purchased
    /// credits come back as far as they are owed there, in that order. What is beyond them is free:
    /// it comes back in the cycle that it was taken in and lapses after it.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn take_back(&mut self, hold: &Hold, now: Time) -> Result<Credits, TooMany> {
        self.held = self.held.excess_over(hold.credits);
        self.open_holds = self.open_holds.saturating_sub(1);
        let lapsed = self.receive(hold, now)?;
        self.tally.expired = self.tally.expired.try_add(lapsed)?;
        Ok(lapsed)
    }

    /// Takes back what is left of a lane. No lane outlives a reset, so nothing of it lapses.
    ///
    /// # Errors
    /// [`TooMany`] if an amount becomes larger than [`Credits::MAX`].
    pub fn take_back_lane(&mut self, lane: &Hold, now: Time) -> Result<(), TooMany> {
        self.lanes = self.lanes.excess_over(lane.credits);
        self.receive(lane, now).map(drop)
    }

    /// Adds what is left of a hold and counts what was charged to it. Returns what lapses.
    fn receive(&mut self, hold: &Hold, now: Time) -> Result<Credits, TooMany> {
        self.used.merge(&hold.used);
        self.weeks.add(hold.captured, now)?;
        let group = Group { reset_epoch: hold.reset_epoch, epoch: hold.epoch };
        let purchased = self.owed.take(group, hold.remaining);
        self.balance.mark = self.balance.mark.try_add(purchased)?;
        let is_over = hold.reset_epoch != self.terms.reset_epoch;
        let lapsed = if is_over { hold.remaining.excess_over(purchased) } else { Credits::ZERO };
        let back = hold.remaining.excess_over(lapsed);
        self.balance.credits = self.balance.credits.try_add(back)?;
        Ok(lapsed)
    }
}
