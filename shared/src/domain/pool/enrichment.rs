//! Running out of credits: what a pool refuses, and what it remembers of that.
//!
//! A charge of an enrichment action that is refused because the team can no longer pay for one unit of
//! the action pauses enrichment for the whole team, until it is restarted by hand. All else goes on as
//! far as credits allow.

use crate::domain::catalogue::prices;
use crate::domain::ledger::entry::{Details, Entry};
use crate::domain::pool::Pool;
use crate::domain::{Credits, Error};

impl Entry {
    /// Whether it is, or is for, an action that is paused with enrichment.
    #[must_use]
    pub fn is_enrichment(&self) -> bool {
        let is_enrichment =
            |action: &String| prices::row(action).is_some_and(|price| price.is_enrichment);
        if let Details::Hold { work: Some(work), .. } = &self.details {
            return work.actions.iter().any(is_enrichment);
        }
        self.charged().is_some_and(|charged| is_enrichment(&charged.action))
    }

    /// Whether enrichment is paused if this is refused at a balance: the balance does not cover one
    /// unit of it. A bill for a monitored account pauses that account alone.
    #[must_use]
    pub fn pauses_enrichment_at(&self, balance: Credits) -> bool {
        let is_asked =
            matches!(&self.details, Details::Charge(charged) if charged.account.is_none());
        is_asked && self.is_enrichment() && balance < self.unit_cost()
    }

    /// What one unit of a charge costs.
    #[must_use]
    pub fn unit_cost(&self) -> Credits {
        let units = self.charged().map_or(1, |charged| charged.quantity).max(1);
        Credits::new(self.spent().get().checked_div(units).unwrap_or_default())
    }
}

impl Pool {
    /// Whether enrichment is paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// The number of the present pause of enrichment, if it is paused.
    #[must_use]
    pub fn pause(&self) -> Option<u64> {
        self.paused_at.map(|_| self.pauses)
    }

    /// Whether enrichment is running.
    ///
    /// # Errors
    /// [`Error::EnrichmentPaused`].
    pub const fn check_running(&self) -> Result<(), Error> {
        if self.is_paused() { Err(Error::EnrichmentPaused) } else { Ok(()) }
    }

    /// All credits that the team can spend now, in lanes or not. What was spent from lanes shows when
    /// they are returned: by a charge or a change that needs them, or by the schedule.
    #[must_use]
    pub fn all_credits(&self) -> Credits {
        self.balance.credits.checked_add(self.lanes).unwrap_or(Credits::MAX)
    }

    /// Whether they are below the team's threshold.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.all_credits() < self.settings.low_balance_threshold
    }

    /// Whether the pool need not be told if `charge` is refused at a balance.
    #[must_use]
    pub fn has_noted(&self, charge: &Entry, balance: Credits) -> bool {
        self.refused.is_some() && (self.is_paused() || !charge.pauses_enrichment_at(balance))
    }

    /// Whether there are credits to restart enrichment with.
    ///
    /// # Errors
    /// [`Error::InsufficientCredits`] without any.
    pub fn check_restart(&self) -> Result<(), Error> {
        let balance = self.balance.credits;
        if balance.is_zero() {
            return Err(Error::InsufficientCredits { balance, required: Credits::new(1) });
        }
        Ok(())
    }
}
