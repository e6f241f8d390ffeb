//! A charge that the catalogue refuses may still be a replay of one from a time when it was valid.

use shared::domain::Error;
use shared::domain::catalogue::PriceList;
use shared::domain::entry::Entry;
use shared::http::App;
use shared::store::charge::Outcome;

use crate::refusal::Asked;

/// A charge that has no price.
#[derive(Debug)]
pub(crate) struct Unpriced {
    error: Error,
    /// Its entry, if the request could be read.
    asked: Option<Box<Entry>>,
}

impl From<Error> for Unpriced {
    fn from(error: Error) -> Self {
        Self { error, asked: None }
    }
}

impl Unpriced {
    /// The same, with the error's fields as parts of `whole`.
    pub(crate) fn within(self, whole: &str) -> Self {
        Self { error: self.error.within(whole), ..self }
    }

    /// The charge that has no price, if the request could be read.
    pub(crate) fn asked(&self) -> Option<Asked> {
        self.asked.as_deref().map(Asked::from)
    }

    /// The entry of the same request from before, or the refusal.
    pub(crate) async fn outcome(self, app: &App) -> Outcome {
        let Self { error, asked } = self;
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

/// The entry with its price of `list`.
pub(crate) fn priced(asked: Entry, list: &PriceList) -> Result<Entry, Unpriced> {
    asked.clone().priced(list).map_err(|error| Unpriced { error, asked: Some(Box::new(asked)) })
}
