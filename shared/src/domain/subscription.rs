//! A team's plan and its seats, and what the product's billing asks for.

use serde::{Deserialize, Serialize};

use super::ids::TeamId;
use super::plans::{Grant, Plan};
use super::time::Time;
use super::{Credits, Error};

/// The most seats that a team can have.
pub const MAX_SEATS: u32 = 100_000;

/// The most free credits that can be agreed with an existing customer.
pub const MAX_INCLUDED: Credits = Credits::new(100_000_000);

/// By how many seconds a start may lie ahead of our clock.
const CLOCK_SKEW: u32 = 300;

/// A team's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The plan.
    pub plan: Plan,
    /// The seats now.
    pub seats: u32,
    /// The most seats that the current cycle has had a grant for.
    pub granted_seats: u32,
    /// When it started: the anchor of its cycles, and with the plan its identity.
    pub started_at: Time,
    /// The free credits agreed at the start, where the plan knows such an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_credits: Option<Credits>,
    /// Whether it ends with the current cycle.
    pub cancelled: bool,
}

/// The body of `PUT /teams/{team}/subscription`, and what a message of the billing system tells, which
/// has a `team` and a `version`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The team, in a message.
    pub team: Option<TeamId>,
    /// Grows with each message for the team; one that is no newer than what was taken in already
    /// changes nothing. Left out, the request is taken as it comes.
    pub version: Option<u64>,
    /// The plan.
    pub plan: Plan,
    /// The seats, 1 to [`MAX_SEATS`]; 1 if it is left out.
    #[serde(default = "one_seat")]
    pub seats: u32,
    /// When the subscription started. Left out, it is the one that runs, or else it starts now.
    pub started_at: Option<Time>,
    /// When the account was created: told once and kept. An account of which nothing was told is as
    /// old as its subscription.
    pub account_created_at: Option<Time>,
    /// The free credits agreed with an existing customer, for a plan that knows such an amount.
    pub included_credits: Option<Credits>,
}

const fn one_seat() -> u32 {
    1
}

impl SubscriptionRequest {
    pub(super) fn check(&self, now: Time) -> Result<(), Error> {
        if !(1..=MAX_SEATS).contains(&self.seats) {
            return Err(Error::invalid("seats", format!("must be 1 to {MAX_SEATS}")));
        }
        for (field, time) in
            [("started_at", self.started_at), ("account_created_at", self.account_created_at)]
        {
            if time.is_some_and(|time| time > now.plus_seconds(CLOCK_SKEW)) {
                return Err(Error::invalid(field, "must not lie in the future"));
            }
        }
        match self.included_credits {
            Some(_) if !matches!(self.plan.grant, Grant::AsAgreed(_)) => {
                let detail = format!("the plan {} has no agreed amount", self.plan.name);
                Err(Error::invalid("included_credits", detail))
            }
            Some(credits) if credits > MAX_INCLUDED => {
                Err(Error::invalid("included_credits", format!("must be at most {MAX_INCLUDED}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether this means the subscription that runs, rather than a new one. Cycles are anchored on
    /// a day, so one that started on the same day is the same.
    pub(super) fn is_for(&self, current: &Subscription) -> bool {
        let same_day = |start: Time| start.day() == current.started_at.day();
        self.plan == current.plan && self.started_at.is_none_or(same_day)
    }

    pub(super) fn subscription(&self, now: Time) -> Subscription {
        Subscription {
            plan: self.plan,
            seats: self.seats,
            granted_seats: self.seats,
            started_at: self.started_at.unwrap_or(now),
            included_credits: self.included_credits,
            cancelled: false,
        }
    }
}
