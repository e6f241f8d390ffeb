//! JSON values with their places in a text.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A value in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    json: &'a str,
    /// The number of bytes before it.
    pub(super) at: usize,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    /// The number of bytes before the name.
    pub(super) at: usize,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value that a text consists of.
    ///
    /// # Errors
    /// The first violation of the syntax of JSON.
    pub(super) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let value: &RawValue = serde_json::from_str(text)?;
        Ok(Self { json: text, at: 0 }.inner(value))
    }

    /// The value as a `T`, if it is one.
    pub(super) fn to<T: DeserializeOwned>(self) -> Option<T> {
        serde_json::from_str(self.json).ok()
    }

    pub(super) fn is_null(self) -> bool {
        self.json == "null"
    }

    /// The elements of an array; `None` for another value.
    pub(super) fn elements(self) -> Option<Vec<Node<'a>>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.json).ok()?;
        Some(elements.into_iter().map(|element| self.inner(element)).collect())
    }

    /// The fields of an object in their order, repeated ones included; `None` for another value.
    pub(super) fn fields(self) -> Option<Vec<Field<'a>>> {
        let fields: RawFields = serde_json::from_str(self.json).ok()?;
        let field = |(name, value)| {
            let (name, value) = (self.inner(name), self.inner(value));
            // A text that is no Unicode, such as "\ud800", stays as it is written.
            let text = name.to().unwrap_or_else(|| name.json.to_owned());
            Field { name: text, at: name.at, value }
        };
        Some(fields.0.into_iter().map(field).collect())
    }

    fn inner(self, value: &'a RawValue) -> Self {
        Self { json: value.get(), at: self.offset(value.get()) }
    }

    /// The number of bytes of the text before a part of this value.
    fn offset(self, part: &str) -> usize {
        let inside = part.as_ptr().addr().saturating_sub(self.json.as_ptr().addr());
        self.at.saturating_add(inside)
    }
}

/// The number of bytes before a violation of the syntax.
pub(super) fn place_of(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line: usize = lines.map(str::len).sum();
    // The column is that of the byte, from 1. At the end of the text it is the number of bytes before.
    text.floor_char_boundary(line.saturating_add(error.column().saturating_sub(1)))
}

/// The line and the column of a place, from 1.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
    (line, column)
}

struct RawFields<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(RawFieldsVisitor).map(RawFields)
    }
}

struct RawFieldsVisitor;

impl<'de> Visitor<'de> for RawFieldsVisitor {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}
