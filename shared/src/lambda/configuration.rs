//! The parts of the configuration that come from environment variables and have defaults.

use std::env::var;

use jiff::civil::Date;

use crate::domain::Credits;
use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::limits::{PURCHASE_CREDITS_MAX, PurchaseLimits};

/// The names of the claims in the product's tokens, and the prefix of its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The claim with a person's team.
    pub team: String,
    /// The claim with a person's role.
    pub role: String,
    /// The claim with a machine client's scopes.
    pub scope: String,
    /// The prefix of each scope. Cognito issues `resource-server/scope`.
    pub scope_prefix: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        let [team, role, scope] = ["team", "role", "scope"].map(str::to_owned);
        Self { team, role, scope, scope_prefix: String::new() }
    }
}

impl ClaimNames {
    /// The names from `TEAM_CLAIM`, `ROLE_CLAIM`, `SCOPE_CLAIM` and `SCOPE_PREFIX`. A variable that is
    /// not set has its default.
    #[must_use]
    pub fn from_env() -> Self {
        let Self { team, role, scope, scope_prefix } = Self::default();
        Self {
            team: var("TEAM_CLAIM").unwrap_or(team),
            role: var("ROLE_CLAIM").unwrap_or(role),
            scope: var("SCOPE_CLAIM").unwrap_or(scope),
            scope_prefix: var("SCOPE_PREFIX").unwrap_or(scope_prefix),
        }
    }
}

/// The catalogue with `PURCHASE_MINIMUM` and `PURCHASE_MAXIMUM` (credits of one purchase) in place of the
/// limits of the versions that are in force on `today` or later, and without the presets outside of them. A variable
/// that is 0 or not set replaces nothing.
///
/// # Errors
/// [`InvalidLimits`].
pub fn with_purchase_limits(catalogue: Catalogue, today: Date) -> Result<Catalogue, InvalidLimits> {
    let [minimum, maximum] = ["PURCHASE_MINIMUM", "PURCHASE_MAXIMUM"].map(credits);
    let (minimum, maximum) = (minimum?, maximum?);
    if minimum.is_none() && maximum.is_none() {
        return Ok(catalogue);
    }
    limited_from(today, catalogue, minimum, maximum)
}

/// A catalogue with other limits of one purchase in the versions that are in force on `today` or later.
fn limited_from(
    today: Date,
    catalogue: Catalogue,
    minimum: Option<Credits>,
    maximum: Option<Credits>,
) -> Result<Catalogue, InvalidLimits> {
    let first = catalogue.at(today).effective;
    let limited = |list: &PriceList| {
        if list.effective < first { Ok(list.clone()) } else { limited(list, minimum, maximum) }
    };
    let mut lists = catalogue.lists().map(limited).collect::<Result<Vec<_>, _>>()?.into_iter();
    Ok(lists.next().map_or(catalogue, |first| Catalogue::new(first, lists.collect())))
}

/// A price list with other limits of one purchase.
fn limited(
    list: &PriceList,
    minimum: Option<Credits>,
    maximum: Option<Credits>,
) -> Result<PriceList, InvalidLimits> {
    let mut list = list.clone();
    let limits = &mut list.purchase;
    limits.minimum = minimum.unwrap_or(limits.minimum);
    limits.maximum = maximum.unwrap_or(limits.maximum);
    let PurchaseLimits { minimum, maximum, .. } = *limits;
    if minimum > maximum || maximum > PURCHASE_CREDITS_MAX {
        return Err(InvalidLimits::Range { minimum, maximum });
    }
    limits.presets.retain(|preset| (minimum..=maximum).contains(preset));
    Ok(list)
}

/// A variable of [`with_purchase_limits`] is invalid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLimits {
    /// A variable is not a number of credits.
    #[error("{0} must be a number of credits")]
    Number(&'static str),
    /// The minimum is above the maximum, or the maximum is above [`PURCHASE_CREDITS_MAX`].
    #[error(
        "PURCHASE_MINIMUM and PURCHASE_MAXIMUM bound purchases to {minimum} to {maximum} credits; the \
         maximum must be at least the minimum and at most {PURCHASE_CREDITS_MAX}"
    )]
    Range {
        /// The minimum.
        minimum: Credits,
        /// The maximum.
        maximum: Credits,
    },
}

/// The credits in a variable; `None` if it is 0 or not set.
fn credits(name: &'static str) -> Result<Option<Credits>, InvalidLimits> {
    let Ok(text) = var(name) else { return Ok(None) };
    let number: Option<u64> = text.trim().parse().ok();
    let credits = number.and_then(|number| Credits::try_from(number).ok());
    let credits = credits.ok_or(InvalidLimits::Number(name))?;
    Ok(Some(credits).filter(|credits| !credits.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use jiff::civil::date;

    /// A limit that does not fit a version of the past is no error.
    #[test]
    fn the_limits_of_past_versions_stay() {
        let older = Catalogue::built_in().unwrap().at(date(2020, 1, 1)).clone();
        let newer = PriceList { effective: date(2027, 1, 1), ..older.clone() };
        let mut small = older;
        small.purchase.maximum = Credits::new(150);
        let both = || Catalogue::new(small.clone(), vec![newer.clone()]);
        let minimum = Some(Credits::new(200));
        let limited = limited_from(date(2027, 1, 1), both(), minimum, None).unwrap();
        let limits = |day| limited.at(day).purchase.clone();
        assert_eq!(limits(date(2026, 12, 31)), small.purchase);
        assert_eq!(limits(date(2027, 1, 1)).minimum, Credits::new(200));
        assert!(limited_from(date(2026, 12, 31), both(), minimum, None).is_err());
    }
}
