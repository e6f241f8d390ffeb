//! Ids and keys: parsed where a request enters, trusted below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The rule that a text does not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidText(&'static str);

/// Defines a text type with a length in characters and a set of allowed characters.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, 1..=$max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                let fits = (1..=$max).contains(&text.chars().count());
                if fits && $allowed(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidText($rule))
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                text.to_owned().try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Whether a text can stand in a key and as a path segment; `.` and `..` cannot.
fn is_path_safe(text: &str) -> bool {
    let is_allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '@' | '-');
    text.chars().all(is_allowed) && !matches!(text, "." | "..")
}

fn is_printable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_printable_ascii(text: &str) -> bool {
    text.is_ascii() && is_printable(text)
}

fn is_alphanumeric_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

text!(
    /// The id of a team: 1 to 64 letters, digits or `. _ : @ -`; not `.` or `..`.
    TeamId, 1..=64, is_path_safe, "1 to 64 letters, digits or . _ : @ -"
);
text!(
    /// The product's id of a monitored account: 1 to 64 letters, digits or `. _ : @ -`; not `.` or
    /// `..`.
    AccountId, 1..=64, is_path_safe, "1 to 64 letters, digits or . _ : @ -"
);
text!(
    /// The `sub` of a person's or machine client's token: 1 to 255 printable ASCII characters.
    UserId, 1..=255, is_printable_ascii, "1 to 255 printable ASCII characters"
);
text!(
    /// A caller's idempotency key: 1 to 255 printable characters.
    Key, 1..=255, is_printable, "1 to 255 printable characters"
);
text!(
    /// The caller's reference to its own record, such as a lead: 1 to 255 printable characters.
    Reference, 1..=255, is_printable, "1 to 255 printable characters"
);
text!(
    /// The id of an entry, hold, lane, purchase or event: 1 to 64 letters, digits, `_` or `-`.
    Id, 1..=64, is_alphanumeric_id, "1 to 64 letters, digits, _ or -"
);
text!(
    /// The payment provider's id of an object, such as a payment: 1 to 255 letters, digits, `_` or `-`.
    ProviderId, 1..=255, is_alphanumeric_id, "1 to 255 letters, digits, _ or -"
);

/// A caller's idempotency key in its key space: the machine clients of a team share one, each person
/// has their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallerKey {
    /// The key from the request.
    pub key: Key,
    /// The person of the key space; `None` for the machine clients' key space.
    pub person: Option<UserId>,
}

impl CallerKey {
    /// A key of a machine client.
    #[must_use]
    pub const fn of_machine(key: Key) -> Self {
        Self { key, person: None }
    }

    /// A key of a person.
    #[must_use]
    pub const fn of_person(key: Key, person: UserId) -> Self {
        Self { key, person: Some(person) }
    }

    /// The key space and the key as one text, unique because neither part contains a line break.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.person {
            None => format!("key#{}", self.key),
            Some(person) => format!("person#{person}\n{}", self.key),
        }
    }
}

impl From<Id> for Key {
    fn from(id: Id) -> Self {
        Self(id.0)
    }
}

impl Id {
    /// The id of `source` within a team: `prefix`, `_` and 32 hexadecimal digits of a hash. The same
    /// team and source always give the same digits.
    #[must_use]
    pub fn of(prefix: &str, team: &TeamId, source: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(team.as_str());
        hash.update([0]);
        hash.update(source);
        let mut digits = hex::encode(hash.finalize());
        digits.truncate(32);
        Self(format!("{prefix}_{digits}"))
    }

    /// The id of the same source with another prefix.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Self {
        let digits = self.0.rsplit('_').next().unwrap_or_default();
        Self(format!("{prefix}_{digits}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_dot_path_segments() {
        assert!([".", ".."].iter().all(|text| text.parse::<TeamId>().is_err()));
        assert!([".", ".."].iter().all(|text| text.parse::<AccountId>().is_err()));
        assert!("...".parse::<TeamId>().is_ok());
    }

    #[test]
    fn key_length_is_in_characters() {
        assert!("é".repeat(255).parse::<Key>().is_ok());
        assert!("é".repeat(256).parse::<Key>().is_err());
        assert!("".parse::<Key>().is_err());
        assert!("line\nbreak".parse::<Key>().is_err());
    }

    #[test]
    fn rejects_team_ids_with_separators() {
        for bad in ["", "a#b", "a/b", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<TeamId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn key_spaces_do_not_collide() {
        let key = |text: &str| text.parse::<Key>().unwrap();
        let person = |user: &str, text| CallerKey::of_person(key(text), user.parse().unwrap());
        let keys = [
            CallerKey::of_machine(key("k")),
            CallerKey::of_machine(key("u#k")),
            CallerKey::of_machine(key("person#u#k")),
            person("u", "k"),
            person("v", "k"),
            person("u", "k#k"),
            person("u#k", "k"),
            person("key", "u#k"),
        ];
        let sources: std::collections::BTreeSet<_> = keys.iter().map(CallerKey::source).collect();
        assert_eq!(sources.len(), keys.len());
    }

    #[test]
    fn an_id_is_a_function_of_team_and_source() {
        let team = |name: &str| name.parse::<TeamId>().unwrap();
        let id = Id::of("e", &team("a"), "b");
        assert_eq!(id, Id::of("e", &team("a"), "b"));
        assert_ne!(id, Id::of("e", &team("ab"), ""));
        assert_ne!(id, Id::of("e", &team("a"), "c"));
        assert_eq!(id.with_prefix("h"), Id::of("h", &team("a"), "b"));
        assert_eq!(id.as_str().parse::<Id>(), Ok(id));
    }
}
