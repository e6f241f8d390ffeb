//! The outcome of a request with an idempotency key.

use super::keys::Item;
use crate::domain::Error;
use crate::domain::ledger::entry::Entry;

/// The outcome of a charge, a hold or a gift.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was charged now.
    Charged(Entry),
    /// It was charged before, by the same request.
    Replayed(Entry),
    /// It was not charged.
    Refused(Error),
}

impl Outcome {
    /// What comes of a request whose key has an entry already, of which this is the image.
    pub(super) fn earlier(image: Item, asked: &Entry) -> Result<Self, Error> {
        let entry: Entry = serde_dynamo::from_item(image).map_err(Error::internal)?;
        Ok(Self::repeated(entry, asked))
    }

    /// The outcome of a request whose key has this entry already.
    pub(super) fn repeated(entry: Entry, asked: &Entry) -> Self {
        if entry.answers(asked) { Self::Replayed(entry) } else { Self::Refused(Error::KeyReused) }
    }
}
