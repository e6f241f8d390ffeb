//! The table's stream: what a record of it shows.

use serde::de::DeserializeOwned;

use super::dynamo::from_item;
use super::dynamo::keys::{self, Family, Item};
use crate::domain::Error;
use crate::domain::event::derive::{Images, Record};

/// What a record's old and new images show; `None` for an item that no event tells of.
///
/// # Errors
/// [`Error::Internal`] for an item that is not as this table has it.
pub fn record(before: Option<Item>, after: Item) -> Result<Option<Record>, Error> {
    Ok(match keys::family(&after) {
        Some(Family::Entry) => Some(Record::Entry(images(before, after)?)),
        Some(Family::Purchase) => Some(Record::Purchase(images(before, after)?)),
        Some(Family::Pool) => Some(Record::Pool(images(before, after)?)),
        Some(Family::Account) => Some(Record::Account(images(before, after)?)),
        None => None,
    })
}

fn images<T: DeserializeOwned>(before: Option<Item>, after: Item) -> Result<Images<T>, Error> {
    Ok(Images { before: before.map(parse).transpose()?, after: parse(after)? })
}

fn parse<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    from_item(item)
}
