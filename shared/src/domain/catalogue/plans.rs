//! The plans and the free credits that each plan grants.

use jiff::civil::{Date, date};
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::time::Time;

/// Accounts created before this day (UTC) keep the monthly credits of Email Pro.
pub const EMAIL_PRO_CUTOFF: Date = date(2025, 12, 18);

/// All plans.
pub const PLANS: &[Plan] = &[
    Plan {
        name: "free_trial",
        grant: grant(200, Per::Team, Cadence::Once),
        takes_agreed_amount: false,
    },
    Plan { name: "email", grant: grant(0, Per::Team, Cadence::None), takes_agreed_amount: false },
    Plan {
        name: "email_pro",
        grant: GrantTerms {
            account_created_before: Some(EMAIL_PRO_CUTOFF),
            ..grant(1_000, Per::Seat, Cadence::Monthly)
        },
        takes_agreed_amount: false,
    },
    Plan {
        name: "multichannel_expert",
        grant: grant(400, Per::Seat, Cadence::Monthly),
        takes_agreed_amount: false,
    },
    Plan {
        name: "enterprise",
        grant: grant(400, Per::Team, Cadence::Once),
        takes_agreed_amount: true,
    },
];

const fn grant(credits: u64, per: Per, cadence: Cadence) -> GrantTerms {
    GrantTerms { credits: Credits::new(credits), per, cadence, account_created_before: None }
}

/// One plan that can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name.
    pub name: &'static str,
    /// The free credits that the plan grants.
    pub grant: GrantTerms,
    /// Whether a subscription may fix another amount of credits (`included_credits`).
    pub takes_agreed_amount: bool,
}

/// The terms of a grant of free credits. A subscription stores them at its start, so that a plan
/// that changes or is unknown to a binary does not affect existing subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// The multiplier of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// 1: one grant for the whole team.
    Team,
    /// The number of seats.
    Seat,
}

/// How often a plan grants its free credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The plan with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.name == name)
    }
}

impl GrantTerms {
    /// The free credits of one grant to a team with `seats` seats.
    ///
    /// # Errors
    /// [`TooMany`] if they are more than [`Credits::MAX`], which no request can set.
    pub fn grant(self, seats: u32, account_created_at: Time) -> Result<Credits, TooMany> {
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
    use super::*;

    fn grant(plan: &str, seats: u32, created: &str) -> u64 {
        Plan::find(plan).unwrap().grant.grant(seats, created.parse().unwrap()).unwrap().get()
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
        assert!(Plan::find("platinum").is_none());
    }
}
