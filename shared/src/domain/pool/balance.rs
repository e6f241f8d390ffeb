//! The balance in two numbers, and the operations on it.
//!
//! Free credits are the part above the purchased watermark. Free credits are spent first, so no
//! operation reads the split: each is one conditional write without a prior read.

use serde::{Deserialize, Serialize};

use crate::domain::Credits;

/// The credits of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The credits that can be spent now.
    pub credits: Credits,
    /// The purchased watermark: credits above it are free.
    pub mark: Credits,
}

/// One operation on a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceChange {
    /// No change.
    Keep,
    /// Spends credits.
    Charge(Credits),
    /// Adds credits that roll over: a purchase or a gift.
    Purchase(Credits),
    /// Adds free credits to those that are left, as with an added seat.
    Grant(Credits),
    /// Sets the free credits; those that are left lapse.
    Reset(Credits),
}

impl BalanceChange {
    /// Whether the operation begins an epoch.
    #[must_use]
    pub const fn is_grant(self) -> bool {
        match self {
            Self::Grant(_) | Self::Reset(_) => true,
            Self::Keep | Self::Charge(_) | Self::Purchase(_) => false,
        }
    }
}

impl Balance {
    /// The free credits.
    #[must_use]
    pub const fn free(self) -> Credits {
        self.credits.excess_over(self.mark)
    }

    /// The credits that roll over.
    #[must_use]
    pub fn purchased(self) -> Credits {
        self.credits.min(self.mark)
    }

    /// Whether the credits are below the mark: no free credits are left and purchased ones were used.
    #[must_use]
    pub fn is_below_mark(self) -> bool {
        self.credits < self.mark
    }

    /// The balance after `effect`; `None` if the credits do not cover it, or if an amount becomes
    /// larger than [`Credits::MAX`].
    #[must_use]
    pub fn after(self, effect: BalanceChange) -> Option<Self> {
        let Self { credits, mark } = self;
        Some(match effect {
            BalanceChange::Keep => self,
            BalanceChange::Charge(cost) => Self { credits: credits.checked_sub(cost)?, mark },
            BalanceChange::Purchase(more) => {
                Self { credits: credits.checked_add(more)?, mark: mark.checked_add(more)? }
            }
            BalanceChange::Grant(more) | BalanceChange::Reset(more) if self.is_below_mark() => {
                Self { credits: credits.checked_add(more)?, mark: credits }
            }
            BalanceChange::Grant(more) => Self { credits: credits.checked_add(more)?, mark },
            BalanceChange::Reset(more) => Self { credits: mark.checked_add(more)?, mark },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The free and purchased credits after the operations.
    fn split_after(effects: &[BalanceChange]) -> (u64, u64) {
        let mut balance = Balance::default();
        for effect in effects {
            balance = balance.after(*effect).unwrap();
        }
        (balance.free().get(), balance.purchased().get())
    }

    #[test]
    fn free_credits_are_spent_first_and_a_reset_keeps_purchased_ones() {
        use BalanceChange::{Charge, Purchase, Reset};
        let c = Credits::new;
        let effects =
            [Reset(c(500)), Purchase(c(200)), Charge(c(400)), Charge(c(200)), Reset(c(500))];
        let expected = [(500, 0), (500, 200), (100, 200), (0, 100), (500, 100)];
        for (steps, split) in expected.into_iter().enumerate() {
            assert_eq!(split_after(&effects[..=steps]), split, "after {:?}", effects[steps]);
        }
    }

    #[test]
    fn a_reset_replaces_the_free_credits_left() {
        use BalanceChange::{Charge, Purchase, Reset};
        let c = Credits::new;
        assert_eq!(split_after(&[Reset(c(400)), Reset(c(400))]), (400, 0));
        assert_eq!(split_after(&[Reset(c(400)), Charge(c(1)), Reset(c(400))]), (400, 0));
        assert_eq!(split_after(&[Purchase(c(7)), Reset(c(0))]), (0, 7));
    }

    #[test]
    fn a_grant_adds_free_credits_only() {
        use BalanceChange::{Charge, Grant, Purchase, Reset};
        let c = Credits::new;
        assert_eq!(
            split_after(&[Reset(c(400)), Purchase(c(50)), Charge(c(420)), Grant(c(400))]),
            (400, 30)
        );
        assert_eq!(
            split_after(&[Reset(c(400)), Purchase(c(50)), Charge(c(100)), Grant(c(400))]),
            (700, 50)
        );
    }

    #[test]
    fn rejects_an_uncovered_charge_and_an_amount_above_the_maximum() {
        let balance = Balance { credits: Credits::new(4), mark: Credits::new(9) };
        assert_eq!(balance.after(BalanceChange::Charge(Credits::new(5))), None);
        assert_eq!(balance.after(BalanceChange::Purchase(Credits::MAX)), None);
    }
}
