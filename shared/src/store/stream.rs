//! Records of the table's stream.

use serde::de::DeserializeOwned;

use super::dynamo::from_item;
use super::dynamo::keys::{self, Item, ItemKind};
use crate::domain::Error;
use crate::domain::event::derive::{Images, Record};

/// A record parsed from its old and new images; `None` for an item whose changes are no events.
///
/// # Errors
/// [`Error::Internal`] if an image cannot be parsed.
pub fn record(before: Option<Item>, after: Item) -> Result<Option<Record>, Error> {
    Ok(match keys::item_kind(&after) {
        Some(ItemKind::Entry) => Some(Record::Entry(images(before, after)?)),
        Some(ItemKind::Purchase) => Some(Record::Purchase(images(before, after)?)),
        Some(ItemKind::Pool) => Some(Record::Pool(images(before, after)?)),
        Some(ItemKind::Account) => Some(Record::Account(images(before, after)?)),
        None => None,
    })
}

fn images<T: DeserializeOwned>(before: Option<Item>, after: Item) -> Result<Images<T>, Error> {
    Ok(Images { before: before.map(from_item).transpose()?, after: from_item(after)? })
}
