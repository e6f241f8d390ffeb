//! The unit of the pool.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A whole number of credits. One credit is worth exactly one cent.
///
/// There is no subtraction operator: what may fall short says so in its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(u64);

impl Credits {
    /// No credits.
    pub const ZERO: Self = Self(0);

    /// More than any pool covers.
    pub const MAX: Self = Self(u64::MAX);

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

    /// The sum, unless it leaves the range of 64 bits.
    #[must_use]
    pub const fn plus(self, more: Self) -> Option<Self> {
        match self.0.checked_add(more.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// What is left after taking `taken`, unless that is more than there is.
    #[must_use]
    pub const fn minus(self, taken: Self) -> Option<Self> {
        match self.0.checked_sub(taken.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// By how much this exceeds `other`; none if it does not.
    #[must_use]
    pub const fn above(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times these credits, unless that leaves the range of 64 bits.
    #[must_use]
    pub const fn times(self, count: u64) -> Option<Self> {
        match self.0.checked_mul(count) {
            Some(product) => Some(Self(product)),
            None => None,
        }
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
