//! A team's plan and its seats, and the request to change them.

pub mod cycle;
pub mod terms;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::catalogue::plans::{GrantTerms, Plan};
use crate::domain::ids::TeamId;
use crate::domain::limits::{INCLUDED_CREDITS_MAX, SEATS_MAX};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A time this many seconds ahead of the clock still counts as now: clocks differ.
const CLOCK_SKEW: u32 = 300;

/// A team's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The plan's name, which this binary need not know.
    pub plan: String,
    /// The terms of its grants, fixed at its start.
    pub grant: GrantTerms,
    /// The seats now.
    pub seats: u32,
    /// The most seats that the current cycle has had a grant for.
    pub granted_seats: u32,
    /// When it started: the anchor of its cycles, and with the plan its identity.
    pub started_at: Time,
    /// The free credits agreed at the start, if an amount was agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_credits: Option<Credits>,
    /// Whether it ends with the current cycle.
    pub cancelled: bool,
    /// What a newer version stores with it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The body of `PUT /teams/{team}/subscription`, and the detail of a message of the billing system,
/// which has a `team` and a `version`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The team, in a message.
    pub team: Option<TeamId>,
    /// Grows with each message for the team; an older message never undoes a newer one. Without a
    /// version, a request is taken as it comes.
    pub version: Option<u64>,
    /// The plan's name.
    pub plan: String,
    /// The seats, 1 to [`SEATS_MAX`]; 1 if it is left out.
    #[serde(default = "one_seat")]
    pub seats: u32,
    /// When the subscription starts. Left out, the current one is meant if it has this plan, else one
    /// that starts now. A start more than five minutes ahead is stored and begins then.
    pub started_at: Option<Time>,
    /// When the account was created: told once and kept. Until then an account is taken to be as old
    /// as its subscription.
    pub account_created_at: Option<Time>,
    /// The free credits agreed with an existing customer, for a plan that takes an agreed amount.
    pub included_credits: Option<Credits>,
}

const fn one_seat() -> u32 {
    1
}

impl SubscriptionRequest {
    /// Checks what does not depend on the team.
    pub(super) fn check(&self, now: Time) -> Result<(), Error> {
        if !(1..=SEATS_MAX).contains(&self.seats) {
            return Err(Error::invalid("seats", format!("must be 1 to {SEATS_MAX}")));
        }
        if self.account_created_at.is_some_and(|time| is_ahead(time, now)) {
            return Err(Error::invalid("account_created_at", "must not lie in the future"));
        }
        if self.included_credits.is_some_and(|credits| credits > INCLUDED_CREDITS_MAX) {
            let detail = format!("must be at most {INCLUDED_CREDITS_MAX}");
            return Err(Error::invalid("included_credits", detail));
        }
        Ok(())
    }

    /// Whether it starts later, so that the current subscription stays until then.
    pub(super) fn starts_later(&self, now: Time) -> bool {
        self.started_at.is_some_and(|start| is_ahead(start, now))
    }

    /// Whether it names the current subscription. Cycles are anchored on a day, so one of the same
    /// plan that started on the same day is the same.
    pub(super) fn is_for(&self, current: &Subscription) -> bool {
        let same_day = |start: Time| start.day() == current.started_at.day();
        self.plan == current.plan && self.started_at.is_none_or(same_day)
    }

    /// The subscription that it asks for, on the plan's present terms.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown plan, or an agreed amount that the plan does not take.
    pub(super) fn subscription(&self, now: Time) -> Result<Subscription, Error> {
        let plan = Plan::find(&self.plan)
            .ok_or_else(|| Error::invalid("plan", format!("unknown plan `{}`", self.plan)))?;
        if self.included_credits.is_some() && !plan.takes_agreed_amount {
            let detail = format!("the plan {} has no agreed amount", plan.name);
            return Err(Error::invalid("included_credits", detail));
        }
        let credits = self.included_credits.unwrap_or(plan.grant.credits);
        Ok(Subscription {
            plan: self.plan.clone(),
            grant: GrantTerms { credits, ..plan.grant },
            seats: self.seats,
            granted_seats: self.seats,
            started_at: self.started_at.unwrap_or(now),
            included_credits: self.included_credits,
            cancelled: false,
            more: Map::new(),
        })
    }
}

fn is_ahead(time: Time, now: Time) -> bool {
    time > now.plus_seconds(CLOCK_SKEW)
}
