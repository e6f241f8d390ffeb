//! Amounts of credits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of credits, a whole number. The catalogue states the price of one credit.
///
/// There are no arithmetic operators: each method states its result where the amount leaves its
/// range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Credits(u64);

/// The amount of credits or the count of units is larger than [`Credits::MAX`].
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
    /// 0 credits.
    pub const ZERO: Self = Self(0);

    /// The largest amount, 2^53 - 1: every client can represent it exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The amount of `credits`, for constants and tests.
    ///
    /// # Panics
    /// If it is larger than [`Credits::MAX`]: a constant does not compile.
    #[must_use]
    pub const fn new(credits: u64) -> Self {
        assert!(credits <= Self::MAX.0, "must be at most Credits::MAX");
        Self(credits)
    }

    /// The size of a gain or a loss in the ledger, which is at most [`Credits::MAX`].
    pub(in crate::domain) const fn of_change(credits: i64) -> Self {
        Self(credits.unsigned_abs())
    }

    /// The number of credits.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether the amount is 0.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` if it is larger than [`Credits::MAX`].
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

    /// This amount less `taken`; `None` if `taken` is larger.
    #[must_use]
    pub const fn checked_sub(self, taken: Self) -> Option<Self> {
        match self.0.checked_sub(taken.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The amount by which this exceeds `other`; 0 if it does not.
    #[must_use]
    pub const fn excess_over(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// This amount times `count`; `None` if it is larger than [`Credits::MAX`].
    #[must_use]
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        self.0.checked_mul(count)?.try_into().ok()
    }

    /// This amount times `numerator / denominator`, rounded down; `None` if the denominator is 0 or the
    /// result is larger than [`Credits::MAX`].
    #[must_use]
    pub fn checked_fraction(self, numerator: u128, denominator: u128) -> Option<Self> {
        let product = u128::from(self.0).checked_mul(numerator)?;
        u64::try_from(product.checked_div(denominator)?).ok()?.try_into().ok()
    }

    /// This amount as a gain in the ledger, in credits.
    #[must_use]
    pub const fn gained(self) -> i64 {
        // An amount has at most 53 bits.
        self.0.cast_signed()
    }

    /// This amount as a loss in the ledger: a negative number of credits.
    #[must_use]
    pub const fn lost(self) -> i64 {
        self.gained().wrapping_neg()
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
    fn rejects_amounts_above_the_maximum() {
        let parsed = |text: &str| serde_json::from_str::<Credits>(text);
        assert_eq!(parsed("9007199254740991").unwrap(), Credits::MAX);
        let refused = parsed("9007199254740992").unwrap_err().to_string();
        assert_eq!(refused, "must be at most 9007199254740991");
        assert_eq!(Credits::MAX.checked_add(Credits::new(1)), None);
        assert_eq!(Credits::new(1 << 52).checked_mul(2), None);
        assert_eq!(Credits::MAX.checked_add(Credits::ZERO), Some(Credits::MAX));
    }
}
