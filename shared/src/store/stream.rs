//! The table's stream: what a record of it shows.

use serde::de::DeserializeOwned;

use super::keys::{self, Family, Item};
use crate::domain::Error;
use crate::domain::event::{Change, EntryImage, Images};

/// The change that a record's old and new images show; `None` for an item that no event tells of.
///
/// # Errors
/// [`Error::Internal`] for an item that is not as this table has it.
pub fn change(before: Option<Item>, after: Item) -> Result<Option<Change>, Error> {
    Ok(match keys::family(&after) {
        Some(Family::Entry) => Some(Change::Entry(images(before, after, entry)?)),
        Some(Family::Purchase) => Some(Change::Purchase(images(before, after, parse)?)),
        Some(Family::Pool) => Some(Change::Pool(images(before, after, parse)?)),
        Some(Family::Account) => Some(Change::Account(images(before, after, parse)?)),
        None => None,
    })
}

fn images<T>(
    before: Option<Item>,
    after: Item,
    image: impl Fn(Item) -> Result<T, Error>,
) -> Result<Images<T>, Error> {
    Ok(Images { before: before.map(&image).transpose()?, after: image(after)? })
}

fn entry(item: Item) -> Result<EntryImage, Error> {
    let is_in_history = keys::is_in_history(&item);
    Ok(EntryImage { entry: parse(item)?, is_in_history })
}

fn parse<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}
