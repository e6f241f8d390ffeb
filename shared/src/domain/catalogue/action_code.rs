//! The codes of actions.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize, Serializer};

/// The permanent code of an action: two lowercase ASCII letters, but neither `as` nor `de`. It names the counters of
/// the action in items and keeps them small; `asc` and `dec` are reserved words of DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ActionCode([u8; 2]);

impl ActionCode {
    /// The code with these letters; `None` if the text is no code.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        let is_code = letters.iter().all(u8::is_ascii_lowercase) && !matches!(text, "as" | "de");
        is_code.then_some(Self(letters))
    }
}

impl TryFrom<String> for ActionCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::of(&text).ok_or("must be two lowercase letters, but neither as nor de")
    }
}

impl fmt::Display for ActionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| f.write_char(char::from(*letter)))
    }
}

impl Serialize for ActionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
