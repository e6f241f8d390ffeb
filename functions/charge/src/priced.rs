//! A charge that the catalogue refuses may still be a replay of one from a time when it was valid.

use shared::domain::Error;
use shared::domain::catalogue::prices::PriceList;
use shared::domain::ids::Id;
use shared::domain::ledger::entry::Entry;
use shared::http::Caller;
use shared::http::permission::take_allowance;
use shared::lambda::App;
use shared::store::outcome::Outcome;

use crate::refusal::Asked;

/// A charge that has no price.
#[derive(Debug)]
pub(crate) struct Unpriced {
    error: Error,
    /// Its entry, if the request could be read.
    asked: Option<Box<Entry>>,
    /// The team and the key of a request that could not be read.
    address: Option<Asked>,
}

impl From<Error> for Unpriced {
    fn from(error: Error) -> Self {
        Self { error, asked: None, address: None }
    }
}

impl Unpriced {
    /// The same, with the error's fields as parts of `whole`.
    pub(crate) fn nested_in(self, whole: &str) -> Self {
        Self { error: self.error.nested_in(whole), ..self }
    }

    /// The charge that has no price, if the request could be read.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.as_deref().map(Asked::from).or_else(|| self.address.clone())
    }

    /// The refusal of a request that could not be read, with its team and key for the log.
    pub(crate) fn unreadable(error: Error, request: &[u8]) -> Self {
        Self { error, asked: None, address: Asked::read(request) }
    }

    /// The entry of the same request from before, or the refusal.
    pub(crate) async fn outcome(self, app: &App) -> Outcome {
        let Self { error, asked, .. } = self;
        let found = match &asked {
            Some(asked) => app.store.replay(asked).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(entry)) => Outcome::Replayed(entry),
            Ok(None) => Outcome::Refused(error),
            Err(error) => Outcome::Refused(error),
        }
    }
}

/// The hold that a charge names, if the request could be read.
pub(crate) fn hold_of(charge: &Result<Entry, Unpriced>) -> Option<&Id> {
    let entry = charge.as_ref().map_or_else(|unpriced| unpriced.asked.as_deref(), Some);
    entry?.hold.as_ref()
}

/// The charge, if its caller may use the hold that it names. Of the refusals, that of another caller's
/// hold comes first, and that of an unknown hold last.
pub(crate) fn permitted(
    charge: Result<Entry, Unpriced>,
    access: Result<(), Error>,
) -> Result<Entry, Unpriced> {
    match (access, charge) {
        (Err(error @ Error::Forbidden(_)), _) | (Err(error), Ok(_)) => Err(error.into()),
        (_, charge) => charge,
    }
}

/// The charge, if it costs its team something, or if its caller may make one that does not: people have an
/// allowance of those.
pub(crate) fn within_allowance(
    app: &App,
    caller: &Caller,
    charge: Result<Entry, Unpriced>,
) -> Result<Entry, Unpriced> {
    let entry = charge?;
    if entry.credits == 0 {
        take_allowance(app, caller, &entry.team).map_err(|error| Unpriced {
            error,
            asked: Some(Box::new(entry.clone())),
            address: None,
        })?;
    }
    Ok(entry)
}

/// The entry with its price of `list`.
pub(crate) fn priced(asked: Entry, list: &PriceList) -> Result<Entry, Unpriced> {
    asked.clone().priced(list).map_err(|error| Unpriced {
        error,
        asked: Some(Box::new(asked)),
        address: None,
    })
}
