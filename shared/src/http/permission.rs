//! The permissions that routes require, as extractors. A handler lists them first: a request without the
//! permission is answered 401 or 403 whatever its query, headers and body contain.

use std::collections::HashMap;
use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::{Caller, Path};
use crate::domain::Error;
use crate::domain::ids::{Id, InvalidText, TeamId};
use crate::lambda::App;

/// A caller with a permission for the team in the path.
#[derive(Debug)]
pub struct Permitted<P> {
    /// The caller.
    pub caller: Caller,
    /// The team in the path.
    pub team: TeamId,
    permission: PhantomData<P>,
}

/// A permission.
pub trait Permission {
    /// Checks that a caller has the permission for a team.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    fn check(caller: &Caller, team: &TeamId) -> Result<(), Error>;
}

macro_rules! permission {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Permission for $name {
            fn check(caller: &Caller, team: &TeamId) -> Result<(), Error> {
                $check(caller, team)
            }
        }
    };
}

permission!(
    /// See [`Caller::check_read`].
    Read, Caller::check_read
);
permission!(
    /// See [`Caller::check_charge`].
    Charge, Caller::check_charge
);
permission!(
    /// See [`Caller::check_restart`].
    Restart, Caller::check_restart
);
permission!(
    /// See [`Caller::check_manage`].
    Manage, |caller: &Caller, _: &TeamId| caller.check_manage()
);
permission!(
    /// See [`Caller::check_monitor`].
    Monitor, Caller::check_monitor
);
permission!(
    /// See [`Caller::check_admin`].
    Administer, Caller::check_admin
);
permission!(
    /// See [`Caller::check_person`].
    Belong, Caller::check_person
);

impl<S, P: Permission> FromRequestParts<S> for Permitted<P>
where
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let Path(segments) =
            Path::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let team = segments.get("team").ok_or_else(|| Error::internal("a path without a team"))?;
        let team = team.parse();
        let team = team.map_err(|error: InvalidText| Error::invalid("team", error.to_string()))?;
        P::check(&caller, &team)?;
        Ok(Self { caller, team, permission: PhantomData })
    }
}

/// Checks that the caller may capture from a hold and release it. The owner of a hold never changes.
///
/// # Errors
/// [`Error::Forbidden`]; for a person [`Error::NotFound`], because another caller may take an unknown hold
/// later; [`Error::Busy`], [`Error::Internal`].
pub async fn check_hold(app: &App, caller: &Caller, team: &TeamId, hold: &Id) -> Result<(), Error> {
    if caller.is_machine() {
        return Ok(());
    }
    caller.check_hold_use(&app.store.hold_entry_read(team, hold).await?)
}

/// Takes one request that costs no credits from the caller's allowance. Machine clients are not limited.
///
/// # Errors
/// [`Error::TooManyRequests`].
pub fn take_allowance(app: &App, caller: &Caller, team: &TeamId) -> Result<(), Error> {
    if caller.is_machine() { Ok(()) } else { app.allowance.take(team, &caller.sub) }
}
