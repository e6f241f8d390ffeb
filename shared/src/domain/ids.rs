//! Names given by callers, and ids made from them. They are parsed at the edge and trusted within.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why a text is no id of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct InvalidText(&'static str);

/// A text with a limit in characters and an alphabet.
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

/// In a path, `.` and `..` stand for something else.
fn is_id(text: &str) -> bool {
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

fn is_made_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

text!(
    /// A team: 1 to 64 letters, digits or `. _ : @ -`, so that it can stand in a key and a path; not `.`
    /// or `..`.
    TeamId, 1..=64, is_id, "1 to 64 letters, digits or . _ : @ -"
);
text!(
    /// A monitored account, as the product names it: 1 to 64 letters, digits or `. _ : @ -`; not `.` or `..`.
    AccountId, 1..=64, is_id, "1 to 64 letters, digits or . _ : @ -"
);
text!(
    /// A person or a machine client, as its token's `sub` names it: 1 to 255 printable ASCII characters.
    UserId, 1..=255, is_printable_ascii, "1 to 255 printable ASCII characters"
);
text!(
    /// A caller's idempotency key: 1 to 255 printable characters.
    Key, 1..=255, is_printable, "1 to 255 printable characters"
);
text!(
    /// What the caller's own records call the thing that was charged: 1 to 255 printable characters.
    Reference, 1..=255, is_printable, "1 to 255 printable characters"
);
text!(
    /// The id of a ledger entry or of what an entry came from: 1 to 64 letters, digits, `_` or `-`.
    Id, 1..=64, is_made_id, "1 to 64 letters, digits, _ or -"
);

/// A caller's idempotency key in its key space: the machine clients of a team share one, each person
/// has their own. So no caller can occupy another caller's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallerKey {
    /// The key as the caller sent it.
    pub key: Key,
    /// The person in whose key space it is; none in that of the machine clients.
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

    /// The key and its space as one text, which no other key has: neither part can hold a line break.
    #[must_use]
    pub fn source(&self) -> String {
        match &self.person {
            None => format!("key#{}", self.key),
            Some(person) => format!("person#{person}\n{}", self.key),
        }
    }
}

impl From<Id> for Key {
    /// What is an id can be a key.
    fn from(id: Id) -> Self {
        Self(id.0)
    }
}

impl Id {
    /// The id of what `source` names within the team, with a prefix that tells its kind.
    ///
    /// The same source always has the same id, so a retry needs no memory of its first try.
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

    /// The id that the same source has with another prefix.
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
    fn a_path_step_is_no_id() {
        assert!([".", ".."].iter().all(|text| text.parse::<TeamId>().is_err()));
        assert!([".", ".."].iter().all(|text| text.parse::<AccountId>().is_err()));
        assert!("...".parse::<TeamId>().is_ok());
    }

    #[test]
    fn a_key_counts_characters_not_bytes() {
        assert!("é".repeat(255).parse::<Key>().is_ok());
        assert!("é".repeat(256).parse::<Key>().is_err());
        assert!("".parse::<Key>().is_err());
        assert!("line\nbreak".parse::<Key>().is_err());
    }

    #[test]
    fn a_team_cannot_break_out_of_its_key() {
        for bad in ["", "a#b", "a/b", "a b", &"x".repeat(65)] {
            assert!(bad.parse::<TeamId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn each_person_and_the_machine_clients_have_their_own_keys() {
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
    fn an_id_depends_on_team_and_source() {
        let team = |name: &str| name.parse::<TeamId>().unwrap();
        let id = Id::of("e", &team("a"), "b");
        assert_eq!(id, Id::of("e", &team("a"), "b"));
        assert_ne!(id, Id::of("e", &team("ab"), ""));
        assert_ne!(id, Id::of("e", &team("a"), "c"));
        assert_eq!(id.with_prefix("h"), Id::of("h", &team("a"), "b"));
        assert_eq!(id.as_str().parse::<Id>(), Ok(id));
    }
}
