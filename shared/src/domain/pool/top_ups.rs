//! The automatic top-ups of a calendar month, as the pool stores them.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::Credits;
use crate::domain::purchase::Purchase;
use crate::domain::time::Time;

/// The automatic top-ups of a team in a calendar month (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUps {
    /// The first day of the month.
    pub month: Date,
    /// The credits of the top-ups, pending ones included.
    pub bought: Credits,
}

impl TopUps {
    /// The top-ups of the month of `now`; without any, 0 credits. A stored later month takes
    /// precedence over a clock that is late.
    pub(in crate::domain) fn at(stored: Option<Self>, now: Time) -> Self {
        let month = now.day().first_of_month();
        let current = stored.filter(|stored| stored.month >= month);
        current.unwrap_or(Self { month, bought: Credits::ZERO })
    }

    /// These and a further top-up of `credits`; `None` if the sum exceeds the monthly `limit`.
    pub(in crate::domain) fn with_purchase(self, credits: Credits, limit: Credits) -> Option<Self> {
        let bought = self.bought.checked_add(credits)?;
        (bought <= limit).then_some(Self { bought, ..self })
    }

    /// These without a failed purchase; unchanged if the purchase is of another month.
    #[must_use]
    pub fn without(self, purchase: &Purchase) -> Self {
        if self.month == purchase.at.day().first_of_month() {
            Self { bought: self.bought.excess_over(purchase.credits), ..self }
        } else {
            self
        }
    }
}
