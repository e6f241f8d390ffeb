//! Holds: credits that are reserved outside of the balance.
//!
//! A hold has no split into free and purchased credits. It stores the epoch in which it was taken, and the pool stores
//! the purchased credits that each earlier epoch used. These determine the credits that it returns, see
//! [`receive_hold`](crate::domain::pool::Pool::receive_hold).

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::price_list::PriceList;
use crate::domain::ids::{CallerKey, Id, Reference, TeamId, UserId};
use crate::domain::ledger::entry::{Details, Entry};
use crate::domain::ledger::work::Work;
use crate::domain::limits::{HOLD_CREDITS_MAX, HOLD_SECONDS_MAX};
use crate::domain::pool::usage::Usage;
use crate::domain::time::Time;
use crate::domain::{Credits, Error};

/// The status of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum HoldStatus {
    /// Charges can be captured from it.
    Open,
    /// Its owner has released it.
    Released,
    /// It has expired.
    Expired,
}

impl HoldStatus {
    /// The status in an item and a response.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// Credits that are reserved. The entry of its taking contains the owner and the reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// A hash of the team and the caller's key. The id of its entry differs in the prefix.
    pub id: Id,
    /// The team.
    pub team: TeamId,
    /// The credits that were reserved.
    pub credits: Credits,
    /// The credits that can still be captured.
    pub remaining: Credits,
    /// The credits that were captured. A lane stores none.
    #[serde(default)]
    pub captured: Credits,
    /// Stored status; may still be `open` after `expires_at`.
    pub status: HoldStatus,
    /// The pool's epoch in which it was taken.
    pub epoch: u64,
    /// The epoch that the last reset before it began.
    pub reset_epoch: u64,
    /// The time at which it was taken. A lane stores none.
    #[serde(default = "epoch")]
    pub taken_at: Time,
    /// The instant from which it accepts no captures.
    pub expires_at: Time,
    /// The usage of its captures that the pool does not contain.
    #[serde(default)]
    pub used: Usage,
    /// The number of the pause of enrichment during which it was taken. It accepts no enrichment before the restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<u64>,
    /// The number of times that its counters were moved to the pool.
    #[serde(default)]
    pub moves: u64,
}

/// The body of `POST /teams/{team}/holds`: either an amount of credits, or work.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The credits to reserve, 1 to [`HOLD_CREDITS_MAX`].
    pub credits: Option<Credits>,
    /// The number of leads. 1 by default.
    pub leads: Option<u64>,
    /// The actions on each lead.
    pub actions: Option<Vec<String>>,
    /// The seconds until it expires, 1 to [`HOLD_SECONDS_MAX`]. An hour by default.
    #[serde(default = "an_hour")]
    pub expires_in: u32,
    /// The caller's own name for it.
    pub reference: Option<Reference>,
}

const fn epoch() -> Time {
    Time::EPOCH
}

const fn an_hour() -> u32 {
    60 * 60
}

impl HoldRequest {
    /// The ledger entry of the hold. [`Entry::sized`] adds the credits of a hold for work.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a value out of range, or for both an amount and work.
    pub fn entry(
        self,
        team: &TeamId,
        key: CallerKey,
        user: UserId,
        at: Time,
    ) -> Result<Entry, Error> {
        if !(1..=HOLD_SECONDS_MAX).contains(&self.expires_in) {
            return Err(Error::invalid(
                "expires_in",
                format!("must be 1 to {HOLD_SECONDS_MAX} seconds"),
            ));
        }
        let work = match (self.credits, self.leads, self.actions) {
            (Some(_), None, None) => None,
            (None, leads, Some(actions)) => Some(Work { leads: leads.unwrap_or(1), actions }),
            (None, _, None) => {
                return Err(Error::invalid("credits", "give either credits or actions"));
            }
            (Some(_), _, _) => {
                return Err(Error::invalid("credits", "give either credits or actions, not both"));
            }
        };
        let credits = self.credits.unwrap_or_default();
        if work.is_none() {
            check_size(credits)?;
        }
        let hold = Id::of("h", team, &key.source());
        let details = Details::Hold { hold, expires_in: self.expires_in, work };
        Ok(Entry {
            held: credits.gained(),
            user: Some(user),
            reference: self.reference,
            names_no_user: true,
            ..Entry::new(team, Some(key), details, at)
        })
    }
}

impl Entry {
    /// The entry of a hold, sized at the prices of `list` if it is for work.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an action that the list does not have, or for work that costs too much for a hold.
    pub fn sized(self, list: &PriceList) -> Result<Self, Error> {
        let Details::Hold { work: Some(work), .. } = &self.details else { return Ok(self) };
        let credits = work.maximum(list)?;
        check_size(credits)?;
        Ok(Self { held: credits.gained(), ..self })
    }
}

fn check_size(credits: Credits) -> Result<(), Error> {
    if credits.is_zero() || credits > HOLD_CREDITS_MAX {
        return Err(Error::invalid("credits", format!("must be 1 to {HOLD_CREDITS_MAX}")));
    }
    Ok(())
}

/// The attributes that a new hold copies from the pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// The pool's epoch.
    pub epoch: u64,
    /// The epoch that the last reset began.
    pub reset_epoch: u64,
    /// The number of the current pause of enrichment.
    pub pause: Option<u64>,
}

impl Hold {
    /// The new hold of an entry; `None` for an entry of another kind.
    #[must_use]
    pub fn of(entry: &Entry, origin: Origin) -> Option<Self> {
        let Details::Hold { hold, expires_in, .. } = &entry.details else { return None };
        let credits = Credits::of_change(entry.held);
        Some(Self {
            id: hold.clone(),
            team: entry.team.clone(),
            credits,
            remaining: credits,
            captured: Credits::ZERO,
            status: HoldStatus::Open,
            epoch: origin.epoch,
            reset_epoch: origin.reset_epoch,
            taken_at: entry.at,
            expires_at: entry.at.plus_seconds(*expires_in),
            used: Usage::default(),
            pause: origin.pause,
            moves: 0,
        })
    }

    /// Its part of [`Pool::hold_sum`](crate::domain::pool::Pool::hold_sum): the last 32 bits of its id and its moves.
    #[must_use]
    pub fn checksum(&self) -> i64 {
        let digits = self.id.as_str().rsplit('_').next().unwrap_or_default();
        let last = digits.get(digits.len().saturating_sub(8)..).unwrap_or_default();
        let moves = i64::try_from(self.moves).unwrap_or(i64::MAX);
        i64::from_str_radix(last, 16).unwrap_or_default().saturating_add(moves)
    }

    /// Its status now, whether or not its expiry is written back.
    #[must_use]
    pub fn status_at(&self, now: Time) -> HoldStatus {
        match self.status {
            HoldStatus::Open if self.expires_at <= now => HoldStatus::Expired,
            status @ (HoldStatus::Open | HoldStatus::Released | HoldStatus::Expired) => status,
        }
    }

    /// Whether charges can be captured.
    ///
    /// # Errors
    /// [`Error::HoldClosed`].
    pub fn check_open(&self, now: Time) -> Result<(), Error> {
        match self.status_at(now) {
            HoldStatus::Open => Ok(()),
            status @ (HoldStatus::Released | HoldStatus::Expired) => {
                Err(Error::HoldClosed(status.as_str()))
            }
        }
    }
}
