//! The plans and the free credits that each plan grants.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::time::Time;

/// One plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The name.
    pub name: String,
    /// See [`GrantTerms::credits`].
    pub credits: Credits,
    /// See [`GrantTerms::per`].
    pub per: Per,
    /// See [`GrantTerms::cadence`].
    pub cadence: Cadence,
    /// See [`GrantTerms::account_created_before`].
    pub account_created_before: Option<Date>,
    /// Whether a subscription may fix another amount of credits (`included_credits`).
    #[serde(default)]
    pub agreed_amount: bool,
    /// Whether the plan is a trial. `GET /team/credits` states its free credits as `freemium`.
    #[serde(default)]
    pub trial: bool,
    /// Whether the plan accepts no new subscription.
    #[serde(default)]
    pub retired: bool,
    /// The limits on each member's spending that a subscription is to bring. Nothing applies them yet.
    #[serde(default)]
    pub limits: Vec<DefaultLimit>,
}

/// A limit on each member's spending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DefaultLimit {
    /// The action; `None` for all actions together.
    pub action: Option<String>,
    /// The calendar period (UTC).
    pub per: Period,
    /// The most credits in a period.
    pub credits: Credits,
}

/// A calendar period of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Day,
    /// A week from Monday on.
    Week,
    /// A month.
    Month,
}

/// The terms of a grant of free credits. A subscription stores them at its start, so that a plan
/// that changes or is unknown to a binary does not affect existing subscribers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTerms {
    /// The credits of one grant, per team or per seat.
    pub credits: Credits,
    /// The multiplier of `credits`.
    pub per: Per,
    /// How often the credits are granted.
    pub cadence: Cadence,
    /// An account created on or after this day (UTC) receives 0 credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_created_before: Option<Date>,
    /// The fields of a newer version.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The multiplier of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// 1: one grant for the whole team.
    Team,
    /// The number of seats.
    Seat,
}

/// How often a plan grants its free credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Once per subscription, at its start.
    Once,
    /// In each monthly cycle.
    Monthly,
    /// Never.
    None,
}

impl Plan {
    /// The terms of its grants, with the credits that a subscription fixes.
    #[must_use]
    pub fn terms(&self, agreed: Option<Credits>) -> GrantTerms {
        GrantTerms {
            credits: agreed.unwrap_or(self.credits),
            per: self.per,
            cadence: self.cadence,
            account_created_before: self.account_created_before,
            more: Map::new(),
        }
    }
}

impl GrantTerms {
    /// The free credits of one grant to a team with `seats` seats.
    ///
    /// # Errors
    /// [`TooMany`] if they are more than [`Credits::MAX`], which no request can set.
    pub fn grant(&self, seats: u32, account_created_at: Time) -> Result<Credits, TooMany> {
        if self.account_created_before.is_some_and(|day| account_created_at.day() >= day) {
            return Ok(Credits::ZERO);
        }
        match self.per {
            Per::Team => Ok(self.credits),
            Per::Seat => self.credits.checked_mul(seats.into()).ok_or(TooMany),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::catalogue::fixtures::prices;

    fn grant(plan: &str, seats: u32, created: &str) -> u64 {
        let terms = prices().plan(plan).unwrap().terms(None);
        terms.grant(seats, created.parse().unwrap()).unwrap().get()
    }

    #[test]
    fn each_plan_grants_its_credits() {
        let (before_cutoff, at_cutoff) = ("2025-12-17T23:59:59Z", "2025-12-18T00:00:00Z");
        assert_eq!(grant("free_trial", 5, at_cutoff), 200);
        assert_eq!(grant("email", 5, at_cutoff), 0);
        assert_eq!(grant("email_pro", 5, before_cutoff), 5_000);
        assert_eq!(grant("email_pro", 5, at_cutoff), 0);
        assert_eq!(grant("multichannel_expert", 3, at_cutoff), 1_200);
        assert_eq!(grant("enterprise", 50, at_cutoff), 400);
        assert!(prices().plan("platinum").is_none());
    }
}
