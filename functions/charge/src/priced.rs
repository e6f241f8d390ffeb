//! Prices charges. A charge that the catalogue rejects may still replay a charge that was valid earlier.

use shared::domain::Error;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::ids::Id;
use shared::domain::ledger::entry::Entry;
use shared::http::Caller;
use shared::http::permission::take_allowance;
use shared::lambda::App;
use shared::store::entry::EntryResult;

use crate::refusal::Asked;

/// A charge without a price.
#[derive(Debug)]
pub(crate) struct Unpriced {
    error: Error,
    /// The entry of the request, if it parses.
    asked: Option<Box<Entry>>,
    /// The team and the key of a request that does not parse.
    address: Option<Asked>,
}

impl From<Error> for Unpriced {
    fn from(error: Error) -> Self {
        Self { error, asked: None, address: None }
    }
}

impl Unpriced {
    /// The same charge; the fields of the error are parts of `parent`.
    pub(crate) fn nested_in(self, parent: &str) -> Self {
        Self { error: self.error.nested_in(parent), ..self }
    }

    /// The team and the key of the charge, if the request has valid ones.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.as_deref().map(Asked::from).or_else(|| self.address.clone())
    }

    /// The charge of a request that does not parse, with its team and key for the log.
    pub(crate) fn unreadable(error: Error, request: &[u8]) -> Self {
        Self { error, asked: None, address: Asked::read(request) }
    }

    /// The existing entry of the same request, or the refusal.
    pub(crate) async fn result(self, app: &App) -> EntryResult {
        let Self { error, asked, .. } = self;
        let found = match &asked {
            Some(asked) => app.store.entry_replay(asked).await,
            None => Ok(None),
        };
        match found {
            Ok(Some(entry)) => EntryResult::Replayed(entry),
            Ok(None) => EntryResult::Refused(error),
            Err(error) => EntryResult::Refused(error),
        }
    }
}

/// The hold of a charge, if the request parses.
pub(crate) fn hold_of(charge: &Result<Entry, Unpriced>) -> Option<&Id> {
    let entry = charge.as_ref().map_or_else(|unpriced| unpriced.asked.as_deref(), Some);
    entry?.hold()
}

/// The charge, if its caller may use its hold. The refusal of another caller's hold precedes other
/// refusals; that of an unknown hold follows them.
pub(crate) fn permitted(
    charge: Result<Entry, Unpriced>,
    access: Result<(), Error>,
) -> Result<Entry, Unpriced> {
    match (access, charge) {
        (Err(error @ Error::Forbidden(_)), _) | (Err(error), Ok(_)) => Err(error.into()),
        (_, charge) => charge,
    }
}

/// The charge, if it costs credits or if the caller's allowance covers it.
pub(crate) fn check_allowance(
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

/// The entry with its price from `list`.
pub(crate) fn priced(asked: Entry, list: &PriceList) -> Result<Entry, Unpriced> {
    asked.clone().priced(list).map_err(|error| Unpriced {
        error,
        asked: Some(Box::new(asked)),
        address: None,
    })
}
