//! The plans and the free credits that each one grants.

use jiff::civil::{Date, date};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Credits;
use super::time::Time;

/// Accounts created before this day (UTC) keep the monthly credits of Email Pro.
pub const EMAIL_PRO_CUTOFF: Date = date(2025, 12, 18);

/// All plans.
pub const PLANS: &[Plan] = &[
    Plan { name: "free_trial", grant: Grant::PerTeam(Credits::new(200)), cadence: Cadence::Once },
    Plan { name: "email", grant: Grant::PerTeam(Credits::ZERO), cadence: Cadence::None },
    Plan {
        name: "email_pro",
        grant: Grant::PerSeatIfCreatedBefore(Credits::new(1_000), EMAIL_PRO_CUTOFF),
        cadence: Cadence::Monthly,
    },
    Plan {
        name: "multichannel_expert",
        grant: Grant::PerSeat(Credits::new(400)),
        cadence: Cadence::Monthly,
    },
    Plan { name: "enterprise", grant: Grant::AsAgreed(Credits::new(400)), cadence: Cadence::Once },
];

/// One plan. It is written as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The plan's name.
    pub name: &'static str,
    /// The free credits that it grants.
    pub grant: Grant,
    /// How often it grants them.
    pub cadence: Cadence,
}

/// How many free credits a plan grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many for the team.
    PerTeam(Credits),
    /// So many for each seat.
    PerSeat(Credits),
    /// So many for each seat of an account that was created before the day; else none.
    PerSeatIfCreatedBefore(Credits, Date),
    /// The amount agreed when the team subscribed, or else so many.
    AsAgreed(Credits),
}

/// How often a plan grants its free credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// When the subscription starts, and never again for it.
    Once,
    /// In each monthly cycle.
    Monthly,
    /// Never.
    None,
}

/// What a grant depends on besides the plan.
#[derive(Clone, Copy, Debug)]
pub struct GrantTerms {
    /// The seats that count.
    pub seats: u32,
    /// When the account was created.
    pub account_created_at: Time,
    /// The amount agreed at the start, where the plan knows one.
    pub included_credits: Option<Credits>,
}

/// There is no plan of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown plan `{0}`")]
pub struct UnknownPlan(String);

impl TryFrom<String> for Plan {
    type Error = UnknownPlan;

    fn try_from(name: String) -> Result<Self, UnknownPlan> {
        let plan = PLANS.iter().find(|plan| plan.name == name);
        plan.copied().ok_or(UnknownPlan(name))
    }
}

impl Serialize for Plan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl Plan {
    /// The free credits for these terms.
    #[must_use]
    pub fn grant(self, terms: GrantTerms) -> Credits {
        let per_seat =
            |credits: Credits| Credits::new(credits.get().saturating_mul(terms.seats.into()));
        match self.grant {
            Grant::PerTeam(credits) => credits,
            Grant::PerSeat(credits) => per_seat(credits),
            Grant::PerSeatIfCreatedBefore(credits, day) => {
                if terms.account_created_at.day() < day {
                    per_seat(credits)
                } else {
                    Credits::ZERO
                }
            }
            Grant::AsAgreed(standard) => terms.included_credits.unwrap_or(standard),
        }
    }
}

/// A plan as `GET /plans` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PlanView {
    plan: &'static str,
    credits: Credits,
    per: &'static str,
    cadence: Cadence,
    account_created_before: Option<Date>,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        let (credits, per, account_created_before) = match plan.grant {
            Grant::PerTeam(credits) | Grant::AsAgreed(credits) => (credits, "team", None),
            Grant::PerSeat(credits) => (credits, "seat", None),
            Grant::PerSeatIfCreatedBefore(credits, day) => (credits, "seat", Some(day)),
        };
        Self { plan: plan.name, credits, per, cadence: plan.cadence, account_created_before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(plan: &str, seats: u32, created: &str, included_credits: Option<u64>) -> u64 {
        let terms = GrantTerms {
            seats,
            account_created_at: created.parse().unwrap(),
            included_credits: included_credits.map(Credits::new),
        };
        Plan::try_from(plan.to_owned()).unwrap().grant(terms).get()
    }

    #[test]
    fn every_row() {
        let (old, new) = ("2025-12-17T23:59:59Z", "2025-12-18T00:00:00Z");
        assert_eq!(grant("free_trial", 5, new, None), 200);
        assert_eq!(grant("email", 5, new, None), 0);
        assert_eq!(grant("email_pro", 5, old, None), 5_000);
        assert_eq!(grant("email_pro", 5, new, None), 0);
        assert_eq!(grant("multichannel_expert", 3, new, None), 1_200);
        assert_eq!(grant("enterprise", 50, new, None), 400);
        assert_eq!(grant("enterprise", 50, old, Some(10_000)), 10_000);
        assert!(Plan::try_from("platinum".to_owned()).is_err());
    }
}
