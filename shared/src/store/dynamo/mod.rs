//! DynamoDB as the store uses it: keys, items, expressions, requests and transactions.

pub mod expression;
pub mod failure;
pub mod keys;
pub mod request;
pub mod transaction;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Error;
use keys::Item;

/// The value that an item stores.
///
/// # Errors
/// [`Error::Internal`] if the item does not have the form of the value.
pub fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, Error> {
    serde_dynamo::from_item(item).map_err(Error::internal)
}

/// The attributes of a value.
///
/// # Errors
/// [`Error::Internal`] if the value is not a map.
pub fn to_item(value: &impl Serialize) -> Result<Item, Error> {
    serde_dynamo::to_item(value).map_err(Error::internal)
}

/// A value as an attribute.
///
/// # Errors
/// [`Error::Internal`] if DynamoDB has no such value.
pub fn to_attribute(value: impl Serialize) -> Result<AttributeValue, Error> {
    serde_dynamo::to_attribute_value(value).map_err(Error::internal)
}
