//! The unit of the pool.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole number of credits. One credit is worth exactly one cent.
///
/// There is no subtraction operator: what may fall short says so in its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Credits(u64);

/// The amount is larger than [`Credits::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be at most {}", Credits::MAX)]
pub struct TooMany;

impl TryFrom<u64> for Credits {
    type Error = TooMany;

    fn try_from(credits: u64) -> Result<Self, TooMany> {
        Some(Self(credits)).filter(|credits| *credits <= Self::MAX).ok_or(TooMany)
    }
}

impl Credits {
    /// No credits.
    pub const ZERO: Self = Self(0);

    /// The largest amount, 2^53 - 1: every client can represent it exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// So many credits.
    #[must_use]
    pub const fn new(credits: u64) -> Self {
        Self(credits)
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it is larger than [`Credits::MAX`].
    #[must_use]
    pub fn checked_add(self, more: Self) -> Option<Self> {
        self.0.checked_add(more.0)?.try_into().ok()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`TooMany`] if it is larger than [`Credits::MAX`].
    pub fn try_add(self, more: Self) -> Result<Self, TooMany> {
        self.checked_add(more).ok_or(TooMany)
    }

    /// The sum of several amounts.
    ///
    /// # Errors
    /// [`TooMany`] if it is larger than [`Credits::MAX`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, TooMany> {
        amounts.into_iter().try_fold(Self::ZERO, Self::try_add)
    }

    /// What is left after taking `taken`, unless that is more than there is.
    #[must_use]
    pub const fn checked_sub(self, taken: Self) -> Option<Self> {
        match self.0.checked_sub(taken.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// By how much this exceeds `other`; none if it does not.
    #[must_use]
    pub const fn excess_over(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times these credits, unless that is larger than [`Credits::MAX`].
    #[must_use]
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        self.0.checked_mul(count)?.try_into().ok()
    }

    /// These credits as a gain in the ledger.
    #[must_use]
    pub fn gained(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// These credits as a loss in the ledger.
    #[must_use]
    pub fn lost(self) -> i64 {
        self.gained().saturating_neg()
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_not_every_client_can_represent_is_refused() {
        let parsed = |text: &str| serde_json::from_str::<Credits>(text);
        assert_eq!(parsed("9007199254740991").unwrap(), Credits::MAX);
        let refused = parsed("9007199254740992").unwrap_err().to_string();
        assert_eq!(refused, "must be at most 9007199254740991");
        assert_eq!(Credits::MAX.checked_add(Credits::new(1)), None);
        assert_eq!(Credits::new(1 << 52).checked_mul(2), None);
        assert_eq!(Credits::MAX.checked_add(Credits::ZERO), Some(Credits::MAX));
    }
}
