//! The purchased credits that past epochs used and that open holds may still return.
//!
//! Each epoch starts as a group of its own. Groups that no open hold distinguishes are joined: a hold
//! that can take from one of them can take from all of them. After that there are at most as many
//! groups as epochs with open holds. A pool with [`GROUPS_MAX`] of them accepts no hold in a further
//! epoch.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde::{Deserializer, Serializer};

use crate::domain::Credits;
use crate::domain::credits::TooMany;
use crate::domain::hold::Hold;

/// A hold in a new epoch is refused while a pool has this many groups that cannot be joined.
pub const GROUPS_MAX: usize = 100;

/// If a pool has more groups than this, a grant first joins those that no open hold distinguishes.
pub const GROUPS_BEFORE_JOIN: usize = 8;

/// A group: successive epochs that the same holds take from. Its first epoch and the last reset
/// before it identify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The epoch that began with the last reset.
    pub reset_epoch: u64,
    /// The first epoch of the group.
    pub epoch: u64,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.reset_epoch, self.epoch)
    }
}

/// The text is not a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be two epochs like 3-5")]
pub struct InvalidGroup;

impl FromStr for Group {
    type Err = InvalidGroup;

    fn from_str(text: &str) -> Result<Self, InvalidGroup> {
        let (reset_epoch, epoch) = text.split_once('-').ok_or(InvalidGroup)?;
        let number = |text: &str| text.parse().map_err(|_| InvalidGroup);
        Ok(Self { reset_epoch: number(reset_epoch)?, epoch: number(epoch)? })
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The owed credits of each group, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owed(BTreeMap<Group, Credits>);

impl Owed {
    /// The number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.len()
    }

    /// Adds credits to a group.
    ///
    /// # Errors
    /// [`TooMany`] if the group becomes larger than [`Credits::MAX`].
    pub fn add(&mut self, group: Group, credits: Credits) -> Result<(), TooMany> {
        let owed = self.0.entry(group).or_default();
        *owed = owed.try_add(credits)?;
        Ok(())
    }

    /// Takes up to `credits` from the group `from` and the later ones until the next reset, oldest
    /// first. Returns the credits taken.
    pub fn take(&mut self, from: Group, credits: Credits) -> Credits {
        let mut left = credits;
        let until = Group { epoch: u64::MAX, ..from };
        for (_, owed) in self.0.range_mut(from..=until) {
            let part = left.min(*owed);
            *owed = owed.excess_over(part);
            left = left.excess_over(part);
        }
        self.0.retain(|_, owed| !owed.is_zero());
        credits.excess_over(left)
    }

    /// The owed credits with all groups joined that the `open` holds do not distinguish. Credits that
    /// no open hold can return are dropped.
    ///
    /// # Errors
    /// [`TooMany`] if a group becomes larger than [`Credits::MAX`].
    pub fn compacted(&self, open: &[Hold]) -> Result<Self, TooMany> {
        let mut groups: Vec<(Group, Credits)> = Vec::new();
        for (group, credits) in &self.0 {
            let before = groups
                .last()
                .map(|(last, _)| *last)
                .filter(|last| last.reset_epoch == group.reset_epoch);
            let is_needed = open.iter().any(|hold| {
                hold.reset_epoch == group.reset_epoch
                    && hold.epoch <= group.epoch
                    && before.is_none_or(|before| before.epoch < hold.epoch)
            });
            match (is_needed, before, groups.last_mut()) {
                (true, _, _) => groups.push((*group, *credits)),
                (false, Some(_), Some((_, sum))) => *sum = sum.try_add(*credits)?,
                (false, _, _) => {}
            }
        }
        Ok(Self(groups.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hold::Origin;
    use crate::domain::ids::CallerKey;
    use crate::domain::ledger::entry::{Details, Entry};

    fn group(reset_epoch: u64, epoch: u64) -> Group {
        Group { reset_epoch, epoch }
    }

    fn owed(groups: &[(u64, u64, u64)]) -> Owed {
        let mut owed = Owed::default();
        for (reset_epoch, epoch, credits) in groups {
            owed.add(group(*reset_epoch, *epoch), Credits::new(*credits)).unwrap();
        }
        owed
    }

    fn hold(reset_epoch: u64, epoch: u64) -> Hold {
        let team = "t".parse().unwrap();
        let at = "2027-01-10T00:00:00Z".parse().unwrap();
        let key = CallerKey::of_machine("k".parse().unwrap());
        let details = Details::Hold { hold: "h_1".parse().unwrap(), expires_in: 60, work: None };
        let entry = Entry::new(&team, Some(key), details, at);
        let hold = Hold::of(&entry, Origin::default()).unwrap();
        Hold { epoch, reset_epoch, ..hold }
    }

    #[test]
    fn take_starts_at_the_own_group_and_ends_before_the_next_reset() {
        let all = [(1, 2, 10), (1, 4, 20), (5, 5, 40)];
        for (from, credits, taken, left) in [
            (group(1, 2), 15, 15, &[(1, 4, 15), (5, 5, 40)][..]),
            (group(1, 3), 50, 20, &[(1, 2, 10), (5, 5, 40)]),
            (group(1, 5), 50, 0, &all),
            (group(5, 5), 30, 30, &[(1, 2, 10), (1, 4, 20), (5, 5, 10)]),
        ] {
            let mut owed_now = owed(&all);
            assert_eq!(owed_now.take(from, Credits::new(credits)).get(), taken, "{from}");
            assert_eq!(owed_now, owed(left), "{from}");
        }
    }

    #[test]
    fn groups_that_no_open_hold_distinguishes_are_joined() {
        let all = owed(&[(1, 2, 10), (1, 4, 20), (1, 6, 40), (7, 7, 80)]);
        for (open, left) in [
            (vec![], &[][..]),
            (vec![hold(1, 2)], &[(1, 2, 70)]),
            (vec![hold(1, 1), hold(1, 5)], &[(1, 2, 30), (1, 6, 40)]),
            (vec![hold(1, 3), hold(7, 7)], &[(1, 4, 60), (7, 7, 80)]),
        ] {
            assert_eq!(all.compacted(&open), Ok(owed(left)));
        }
    }

    #[test]
    fn groups_are_serialised_as_two_numbers() {
        let text = serde_json::to_string(&owed(&[(1, 10, 3), (1, 9, 2)])).unwrap();
        assert_eq!(text, r#"{"1-9":2,"1-10":3}"#);
        assert_eq!(serde_json::from_str::<Owed>(&text).unwrap(), owed(&[(1, 9, 2), (1, 10, 3)]));
        assert!(serde_json::from_str::<Owed>(r#"{"9":1}"#).is_err());
    }
}
