//! Times in items and answers: RFC 3339 in UTC with milliseconds. The width is fixed, so that the
//! order of texts, which `DynamoDB` compares, is the order of times.

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// 1970-01-01T00:00:00Z, before all other times of the system.
    pub const EPOCH: Self = Self(Timestamp::UNIX_EPOCH);

    /// The first instant of a day in UTC.
    #[must_use]
    pub fn start_of(day: Date) -> Self {
        Self(day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp()))
    }

    /// The instant `millisecond` milliseconds after the Unix epoch; the epoch if that is out of
    /// range.
    #[must_use]
    pub fn of_millisecond(millisecond: i64) -> Self {
        Self(Timestamp::from_millisecond(millisecond).unwrap_or_default())
    }

    /// The day of this instant in UTC.
    #[must_use]
    pub fn day(self) -> Date {
        TimeZone::UTC.to_datetime(self.0).date()
    }

    /// The instant `seconds` seconds later.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Self {
        self.later(jiff::SignedDuration::from_secs(seconds.into()))
    }

    /// The instant `milliseconds` milliseconds later.
    #[must_use]
    pub fn plus_milliseconds(self, milliseconds: u32) -> Self {
        self.later(jiff::SignedDuration::from_millis(milliseconds.into()))
    }

    fn later(self, duration: jiff::SignedDuration) -> Self {
        Self(self.0.saturating_add(duration).unwrap_or(Timestamp::MAX))
    }

    /// The instant as a [`Timestamp`].
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        let millisecond = timestamp.as_millisecond();
        Self(Timestamp::from_millisecond(millisecond).unwrap_or(timestamp))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("must be a time like 2026-11-03T00:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_sort_as_times_do() {
        let texts: Vec<String> =
            ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T01:00:01+01:00"]
                .iter()
                .map(|text| text.parse::<Time>().unwrap().to_string())
                .collect();
        assert_eq!(texts[0], "2026-01-01T00:00:00.000Z");
        assert_eq!(texts[1], "2026-01-01T00:00:00.500Z");
        assert_eq!(texts[2], "2026-01-01T00:00:01.000Z");
        assert!(texts.is_sorted());
    }
}
