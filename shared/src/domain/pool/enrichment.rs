//! Running out of credits.
//!
//! Enrichment pauses for the whole team when an enrichment charge is refused and the team can no
//! longer pay for one unit of its action. It stays paused until a restart. Other actions continue as
//! far as credits allow.

use crate::domain::credits::TooMany;
use crate::domain::ledger::entry::{Details, Entry};
use crate::domain::pool::Pool;
use crate::domain::{Credits, Error};

impl Entry {
    /// Whether the action of a priced charge is enrichment.
    #[must_use]
    pub fn is_enrichment(&self) -> bool {
        self.metering.is_some_and(|metering| metering.is_enrichment)
    }

    /// Whether a refusal of this entry at `balance` pauses enrichment: it is an enrichment charge,
    /// and the balance does not cover one unit of it. The bill of a monitored account pauses that
    /// account only.
    #[must_use]
    pub fn pauses_enrichment_at(&self, balance: Credits) -> bool {
        let is_asked =
            matches!(&self.details, Details::Charge(charged) if charged.account.is_none());
        is_asked && self.is_enrichment() && balance < self.unit_cost()
    }

    /// The credits of one unit of a priced charge.
    #[must_use]
    pub fn unit_cost(&self) -> Credits {
        let units = self.metering.map_or(1, |metering| metering.units).max(1);
        self.amount().checked_fraction(1, units.into()).unwrap_or_default()
    }
}

impl Pool {
    /// Whether enrichment is paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused_at.is_some()
    }

    /// The number of the current pause of enrichment; `None` while it is running.
    #[must_use]
    pub fn pause(&self) -> Option<u64> {
        self.paused_at.map(|_| self.pauses)
    }

    /// Checks that enrichment is running.
    ///
    /// # Errors
    /// [`Error::EnrichmentPaused`] if it is paused.
    pub const fn check_running(&self) -> Result<(), Error> {
        if self.is_paused() { Err(Error::EnrichmentPaused) } else { Ok(()) }
    }

    /// The credits of the balance and of all open lanes. Credits that were spent from an open lane
    /// count until the lane is returned.
    ///
    /// # Errors
    /// [`TooMany`] if they are more than [`Credits::MAX`].
    pub fn all_credits(&self) -> Result<Credits, TooMany> {
        self.balance.credits.try_add(self.lanes)
    }

    /// Whether all credits are below an amount. More than [`Credits::MAX`] are not.
    #[must_use]
    pub fn is_below(&self, amount: Credits) -> bool {
        self.all_credits().is_ok_and(|all| all < amount)
    }

    /// Whether all credits are below the team's threshold.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.is_below(self.settings.low_balance_threshold)
    }

    /// Whether a refusal of `charge` at `balance` changes nothing in the pool: a refusal is stored,
    /// and enrichment is paused already or does not pause.
    #[must_use]
    pub fn has_stored_refusal(&self, charge: &Entry, balance: Credits) -> bool {
        self.refused.is_some() && (self.is_paused() || !charge.pauses_enrichment_at(balance))
    }

    /// Checks that the pool has credits, which a restart of enrichment requires.
    ///
    /// # Errors
    /// [`Error::InsufficientCredits`] if the balance is 0.
    pub fn check_has_credits(&self) -> Result<(), Error> {
        let balance = self.balance.credits;
        if balance.is_zero() {
            return Err(Error::InsufficientCredits { balance, required: Credits::new(1) });
        }
        Ok(())
    }
}
