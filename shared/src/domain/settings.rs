//! A team's settings, which its admins set: the low-balance threshold and the automatic top-up.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::limits::HOLD_CREDITS_MAX;
use crate::domain::limits::PurchaseLimits;
use crate::domain::{Credits, Error};

/// The low-balance threshold of a team without settings, in credits.
const LOW_BALANCE_DEFAULT: Credits = Credits::new(100);

/// The most credits of each setting but `auto_top_up.credits`, which the purchase limits bound.
pub const SETTING_CREDITS_MAX: Credits = HOLD_CREDITS_MAX;

/// A team's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `credits.low` is sent when the credits fall below this; never if it is 0.
    #[serde(default = "default_low_balance_threshold")]
    pub low_balance_threshold: Credits,
    /// The automatic top-up; `None` if it is off.
    #[serde(default)]
    pub auto_top_up: Option<AutoTopUp>,
}

/// An automatic top-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoTopUp {
    /// The top-up is due when the credits fall below this.
    pub below: Credits,
    /// The credits of one top-up.
    pub credits: Credits,
    /// The most credits of all top-ups in a calendar month (UTC).
    pub monthly_limit: Credits,
}

/// A change of settings. `None` keeps a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::option_option, reason = "a setting that is kept and one that is turned off differ")]
pub struct SettingsChange {
    /// The new threshold; 0 turns the event off.
    pub low_balance_threshold: Option<Credits>,
    /// The new automatic top-up; `Some(None)` turns it off.
    pub auto_top_up: Option<Option<AutoTopUp>>,
}

/// The body of `PUT` and `PATCH /teams/{team}/settings`. `null` turns a setting off. It rejects unknown fields, which
/// stored settings accept.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[allow(clippy::option_option, reason = "a field that is absent and one that is null differ")]
pub struct SettingsRequest {
    /// The event `credits.low` is sent when the credits fall below this.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Credits>))]
    low_balance_threshold: Option<Option<Credits>>,
    /// The automatic top-up.
    #[serde(default, deserialize_with = "present_object")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<AutoTopUpRequest>))]
    auto_top_up: Option<Option<AutoTopUpRequest>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
struct AutoTopUpRequest {
    /// A top-up is due when the credits fall below this.
    below: Credits,
    /// The credits of one top-up.
    credits: Credits,
    /// The most credits of all top-ups in a calendar month (UTC).
    monthly_limit: Credits,
}

/// Reads a field that is not absent.
#[allow(clippy::option_option, reason = "a field that is absent and one that is null differ")]
fn present<'de, T, D>(input: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(input).map(Some)
}

/// Reads a field that is not absent and contains an object or null.
#[allow(clippy::option_option, reason = "a field that is absent and one that is null differ")]
fn present_object<'de, T, D>(input: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    object_or_null(input).map(Some)
}

/// Reads a JSON object or null. The derived implementation also accepts an array of the fields.
fn object_or_null<'de, T, D>(input: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    input.deserialize_option(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

impl From<AutoTopUpRequest> for AutoTopUp {
    fn from(AutoTopUpRequest { below, credits, monthly_limit }: AutoTopUpRequest) -> Self {
        Self { below, credits, monthly_limit }
    }
}

impl From<SettingsRequest> for SettingsChange {
    fn from(request: SettingsRequest) -> Self {
        Self {
            low_balance_threshold: request.low_balance_threshold.map(Option::unwrap_or_default),
            auto_top_up: request.auto_top_up.map(|top_up| top_up.map(AutoTopUp::from)),
        }
    }
}

impl From<Settings> for SettingsChange {
    fn from(settings: Settings) -> Self {
        Self {
            low_balance_threshold: Some(settings.low_balance_threshold),
            auto_top_up: Some(settings.auto_top_up),
        }
    }
}

const fn default_low_balance_threshold() -> Credits {
    LOW_BALANCE_DEFAULT
}

impl Default for Settings {
    fn default() -> Self {
        Self { low_balance_threshold: LOW_BALANCE_DEFAULT, auto_top_up: None }
    }
}

impl SettingsChange {
    /// Checks that no setting is kept.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting that is kept.
    pub fn check_complete(&self) -> Result<(), Error> {
        let missing = |field| Err(Error::invalid(field, "is missing; null turns it off"));
        match (self.low_balance_threshold, self.auto_top_up) {
            (None, _) => missing("low_balance_threshold"),
            (_, None) => missing("auto_top_up"),
            (Some(_), Some(_)) => Ok(()),
        }
    }

    /// Checks the ranges of the new settings.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a setting that is out of range.
    pub fn check(&self, limits: &PurchaseLimits) -> Result<(), Error> {
        if let Some(threshold) = self.low_balance_threshold {
            check_most("low_balance_threshold", threshold)?;
        }
        let Some(Some(top_up)) = &self.auto_top_up else { return Ok(()) };
        limits.check(top_up.credits).map_err(|error| error.nested_in("auto_top_up"))?;
        if top_up.below.is_zero() {
            return Err(Error::invalid("auto_top_up.below", "must be at least 1"));
        }
        check_most("auto_top_up.below", top_up.below)?;
        if top_up.monthly_limit < top_up.credits {
            let detail = "must be at least the credits of one top-up";
            return Err(Error::invalid("auto_top_up.monthly_limit", detail));
        }
        check_most("auto_top_up.monthly_limit", top_up.monthly_limit)
    }
}

fn check_most(field: &str, credits: Credits) -> Result<(), Error> {
    if credits <= SETTING_CREDITS_MAX {
        return Ok(());
    }
    Err(Error::invalid(field, format!("must be at most {SETTING_CREDITS_MAX}")))
}
