//! The automatic top-ups of a calendar month, as the pool stores them.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::purchase::Purchase;
use crate::domain::time::Time;

/// What a team buys by itself in a calendar month (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUps {
    /// The first day of the month.
    pub month: Date,
    /// The credits, those that are not paid yet included.
    pub bought: Credits,
}

impl TopUps {
    /// What counts at that time. Clocks differ: who is late by his own counts in the new month.
    pub(in crate::domain) fn at(so_far: Option<Self>, now: Time) -> Self {
        let month = now.day().first_of_month();
        let counts = so_far.filter(|so_far| so_far.month >= month);
        counts.unwrap_or(Self { month, bought: Credits::ZERO })
    }

    /// After a purchase was begun; `None` if that is more than the month's limit.
    pub(in crate::domain) fn with_purchase(self, credits: Credits, limit: Credits) -> Option<Self> {
        let bought = self.bought.checked_add(credits)?;
        (bought <= limit).then_some(Self { bought, ..self })
    }

    /// After a purchase has failed, which counts no longer.
    #[must_use]
    pub fn without(self, purchase: &Purchase) -> Self {
        if self.month == purchase.at.day().first_of_month() {
            Self { bought: self.bought.excess_over(purchase.credits), ..self }
        } else {
            self
        }
    }
}
