//! A team's subscription: its plan and seats, and the requests that change them.

pub mod cycle;
#[cfg(test)]
mod fixtures;
pub mod messages;
pub mod terms;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::plans::GrantTerms;
use crate::domain::ids::TeamId;
use crate::domain::limits::{INCLUDED_CREDITS_MAX, SEATS_MAX, VERSION_MAX};
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// A start up to this many seconds ahead of the clock counts as now.
const START_AHEAD_SECONDS_MAX: u32 = 300;

/// A team's subscription to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The plan's name. The catalogue of this binary may not have it.
    pub plan: String,
    /// The terms of its grants, fixed at its start.
    pub grant: GrantTerms,
    /// The current seats.
    pub seats: u32,
    /// The most seats granted in the current cycle.
    pub granted_seats: u32,
    /// The start: the anchor of the cycles. Its day and the plan identify the subscription.
    pub started_at: Time,
    /// The free credits fixed at the start, if the request stated an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_credits: Option<Credits>,
    /// Whether the subscription ends with the current cycle.
    pub cancelled: bool,
    /// The fields of a newer version.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The body of `PUT /teams/{team}/subscription`, and the detail of a message from the billing system,
/// which has a `team` and a `version`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The team of a message.
    pub team: Option<TeamId>,
    /// The version, which grows with each message for the team. An older message never undoes a newer
    /// one. A request without a version counts as the newest.
    pub version: Option<u64>,
    /// The plan's name.
    pub plan: String,
    /// The seats, 1 to [`SEATS_MAX`]; the default is 1.
    #[serde(default = "one_seat")]
    pub seats: u32,
    /// The start. Without it, the request is for the current subscription if that has this plan, else
    /// for one that starts now. A start more than 5 minutes ahead is stored and begins then.
    pub started_at: Option<Time>,
    /// The creation of the account, set once. Until then the start of the subscription is used.
    pub account_created_at: Option<Time>,
    /// The free credits fixed for an existing customer, at most [`INCLUDED_CREDITS_MAX`], for a plan
    /// that takes them.
    pub included_credits: Option<Credits>,
}

/// Checks the version of a change.
///
/// # Errors
/// [`Error::Invalid`] for a version above [`VERSION_MAX`].
pub fn check_version(version: Option<u64>) -> Result<(), Error> {
    if version.is_some_and(|version| version > VERSION_MAX) {
        return Err(Error::invalid("version", format!("must be at most {VERSION_MAX}")));
    }
    Ok(())
}

const fn one_seat() -> u32 {
    1
}

impl SubscriptionRequest {
    /// Checks the fields that do not depend on the team.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn check(&self, now: Time) -> Result<(), Error> {
        if !(1..=SEATS_MAX).contains(&self.seats) {
            return Err(Error::invalid("seats", format!("must be 1 to {SEATS_MAX}")));
        }
        check_version(self.version)?;
        if self.account_created_at.is_some_and(|time| is_ahead(time, now)) {
            return Err(Error::invalid("account_created_at", "must not be in the future"));
        }
        if self.included_credits.is_some_and(|credits| credits > INCLUDED_CREDITS_MAX) {
            let detail = format!("must be at most {INCLUDED_CREDITS_MAX}");
            return Err(Error::invalid("included_credits", detail));
        }
        Ok(())
    }

    /// Whether the start is more than 5 minutes ahead, so that the current subscription stays until
    /// then.
    pub(super) fn starts_later(&self, now: Time) -> bool {
        self.started_at.is_some_and(|start| is_ahead(start, now))
    }

    /// Whether the request is for the current subscription: the same plan, and the same start day or
    /// no start.
    pub(super) fn is_for(&self, current: &Subscription) -> bool {
        let same_day = |start: Time| start.day() == current.started_at.day();
        self.plan == current.plan && self.started_at.is_none_or(same_day)
    }

    /// The requested subscription with the terms that its plan has at the start.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a plan that is unknown or retired, or for `included_credits` that the plan
    /// does not take.
    pub(super) fn subscription(
        &self,
        catalogue: &Catalogue,
        now: Time,
    ) -> Result<Subscription, Error> {
        let start = self.started_at.unwrap_or(now);
        let plan = catalogue
            .plan_at(&self.plan, start.day(), now.day())
            .ok_or_else(|| Error::invalid("plan", format!("unknown plan `{}`", self.plan)))?;
        if plan.retired {
            let detail = format!("the plan {} accepts no new subscription", plan.name);
            return Err(Error::invalid("plan", detail));
        }
        if self.included_credits.is_some() && !plan.agreed_amount {
            let detail = format!("the plan {} does not take `included_credits`", plan.name);
            return Err(Error::invalid("included_credits", detail));
        }
        Ok(Subscription {
            plan: self.plan.clone(),
            grant: plan.terms(self.included_credits),
            seats: self.seats,
            granted_seats: self.seats,
            started_at: start,
            included_credits: self.included_credits,
            cancelled: false,
            more: Map::new(),
        })
    }
}

fn is_ahead(time: Time, now: Time) -> bool {
    time > now.plus_seconds(START_AHEAD_SECONDS_MAX)
}
