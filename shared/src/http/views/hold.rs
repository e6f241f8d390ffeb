//! A hold.

use serde::Serialize;

use crate::domain::Credits;
use crate::domain::hold::{Hold, HoldStatus, Origin};
use crate::domain::ids::{Id, Reference, TeamId};
use crate::domain::ledger::entry::Entry;
use crate::domain::time::Time;

/// A hold at an instant.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldView {
    id: Id,
    team: TeamId,
    /// The credits that were reserved.
    credits: Credits,
    /// The credits that were captured.
    captured: Credits,
    /// The credits that can still be captured. 0 for a closed hold.
    remaining: Credits,
    status: HoldStatus,
    taken_at: Time,
    expires_at: Time,
    /// The caller's own name for it.
    reference: Option<Reference>,
}

impl HoldView {
    /// The new hold of an entry; `None` for an entry of another kind.
    #[must_use]
    pub fn of_entry(entry: &Entry) -> Option<Self> {
        let hold = Hold::of(entry, Origin::default())?;
        Some(Self::at(hold, entry.reference.clone(), entry.at))
    }

    /// A hold at `now`. Nothing remains of a closed hold.
    #[must_use]
    pub fn at(hold: Hold, reference: Option<Reference>, now: Time) -> Self {
        let status = hold.status_at(now);
        let remaining = match status {
            HoldStatus::Open => hold.remaining,
            HoldStatus::Released | HoldStatus::Expired => Credits::ZERO,
        };
        Self {
            id: hold.id,
            team: hold.team,
            credits: hold.credits,
            captured: hold.captured,
            remaining,
            status,
            taken_at: hold.taken_at,
            expires_at: hold.expires_at,
            reference,
        }
    }
}
