//! The pool in two numbers, and the steps of its arithmetic.
//!
//! Free credits are the part above the purchased watermark. Free credits are always spent first, so no
//! operation needs to know the split: each is one conditional write without a prior read.

use serde::{Deserialize, Serialize};

use crate::domain::Credits;

/// What a pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// All credits that can be spent now.
    pub credits: Credits,
    /// The purchased watermark: what lies above it is free.
    pub mark: Credits,
}

/// One step of a pool's arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalanceChange {
    /// Nothing.
    Keep,
    /// Credits are spent.
    Charge(Credits),
    /// Credits that roll over come in: a purchase or a gift.
    Purchase(Credits),
    /// Free credits come in on top, as with an added seat.
    Grant(Credits),
    /// The free credits that are left lapse, and so many new ones take their place.
    Reset(Credits),
}

impl BalanceChange {
    /// Whether it begins an epoch.
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

    /// Whether purchased credits were spent since the mark was last set.
    #[must_use]
    pub fn is_below_mark(self) -> bool {
        self.credits < self.mark
    }

    /// The balance after `effect`; `None` if the credits do not cover it.
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

    fn play(effects: &[BalanceChange]) -> (u64, u64) {
        let mut balance = Balance::default();
        for effect in effects {
            balance = balance.after(*effect).unwrap();
        }
        (balance.free().get(), balance.purchased().get())
    }

    /// The worked example of the rules: grant 500, buy 200, spend 400, spend 200, reset.
    #[test]
    fn free_credits_are_spent_first_and_only_they_are_reset() {
        use BalanceChange::{Charge, Purchase, Reset};
        let c = Credits::new;
        let story =
            [Reset(c(500)), Purchase(c(200)), Charge(c(400)), Charge(c(200)), Reset(c(500))];
        let expected = [(500, 0), (500, 200), (100, 200), (0, 100), (500, 100)];
        for (steps, split) in expected.into_iter().enumerate() {
            assert_eq!(play(&story[..=steps]), split, "after {:?}", story[steps]);
        }
    }

    #[test]
    fn a_reset_never_adds_to_what_is_left() {
        use BalanceChange::{Charge, Purchase, Reset};
        let c = Credits::new;
        assert_eq!(play(&[Reset(c(400)), Reset(c(400))]), (400, 0));
        assert_eq!(play(&[Reset(c(400)), Charge(c(1)), Reset(c(400))]), (400, 0));
        assert_eq!(play(&[Purchase(c(7)), Reset(c(0))]), (0, 7));
    }

    #[test]
    fn an_added_seat_tops_up_free_credits_only() {
        use BalanceChange::{Charge, Grant, Purchase, Reset};
        let c = Credits::new;
        assert_eq!(
            play(&[Reset(c(400)), Purchase(c(50)), Charge(c(420)), Grant(c(400))]),
            (400, 30)
        );
        assert_eq!(
            play(&[Reset(c(400)), Purchase(c(50)), Charge(c(100)), Grant(c(400))]),
            (700, 50)
        );
    }

    #[test]
    fn what_is_not_covered_changes_nothing() {
        let balance = Balance { credits: Credits::new(4), mark: Credits::new(9) };
        assert_eq!(balance.after(BalanceChange::Charge(Credits::new(5))), None);
        assert_eq!(balance.after(BalanceChange::Purchase(Credits::new(u64::MAX))), None);
    }
}
