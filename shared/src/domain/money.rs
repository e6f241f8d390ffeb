//! Amounts of money.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::Credits;

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Whole cents, or another smallest unit of the currency.
    pub cents: u64,
    /// The currency.
    pub currency: Currency,
}

/// An amount of money in a request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AmountRequest {
    /// Whole cents, or another smallest unit of the currency: at most 10^12.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_000_000_000_000_u64))]
    pub cents: u64,
    /// The currency.
    pub currency: Currency,
}

impl From<AmountRequest> for Amount {
    fn from(AmountRequest { cents, currency }: AmountRequest) -> Self {
        Self { cents, currency }
    }
}

impl Amount {
    /// The amount for `credits` credits, if this is the price of one; `None` above 2^53 - 1 cents.
    #[must_use]
    pub fn times(self, credits: Credits) -> Option<Self> {
        let cents = self.cents.checked_mul(credits.get())?;
        (cents <= Credits::MAX.get()).then_some(Self { cents, ..self })
    }
}

/// The code of a currency (ISO 4217): three lowercase ASCII letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency([u8; 3]);

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let letters: Option<[u8; 3]> = text.as_bytes().try_into().ok();
        let code = letters.filter(|letters| letters.iter().all(u8::is_ascii_lowercase));
        code.map(Self).ok_or("must be three lowercase letters, such as eur")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| f.write_char(char::from(*letter)))
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_or_refused() {
        let two: Amount = serde_json::from_str(r#"{"cents":2,"currency":"eur"}"#).unwrap();
        let times = |credits| two.times(Credits::new(credits)).map(|amount| amount.cents);
        assert_eq!(times(0), Some(0));
        assert_eq!(times((1 << 52) - 1), Some((1 << 53) - 2));
        assert_eq!(times(1 << 52), None);
        assert_eq!(serde_json::to_string(&two).unwrap(), r#"{"cents":2,"currency":"eur"}"#);
        assert!(serde_json::from_str::<Currency>(r#""EUR""#).is_err());
    }
}
