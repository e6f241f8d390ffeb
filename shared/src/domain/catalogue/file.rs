//! The format of the file. The first version is complete. Each later one lists its changes: fields that
//! replace those of the version before, actions and plans that it adds, and null for those that it
//! removes.

use std::fmt;
use std::marker::PhantomData;

use jiff::civil::Date;
use serde::de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::catalogue::price_list::PriceList;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For editors.
    #[serde(rename = "$schema")]
    _schema: Option<IgnoredAny>,
    versions: Vec<Changes>,
}

/// A version, with the changes since the version before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Changes {
    version: String,
    effective: Date,
    #[serde(default)]
    credit: Fields,
    #[serde(default)]
    purchase: Fields,
    #[serde(default)]
    actions: Named<Option<Fields>>,
    #[serde(default)]
    plans: Named<Option<Fields>>,
}

/// The fields of an object by name.
type Fields = Map<String, Value>;

/// Values by name, in the order of the file.
struct Named<T>(Vec<(String, T)>);

/// The state after a version.
#[derive(Default)]
struct Merged {
    credit: Fields,
    purchase: Fields,
    actions: Named<Fields>,
    plans: Named<Fields>,
}

/// The price lists of a file: the first and the later ones.
pub(super) fn lists(json: &str) -> Result<(PriceList, Vec<PriceList>), serde_json::Error> {
    let File { versions, .. } = serde_json::from_str(json)?;
    let mut merged = Merged::default();
    let mut lists = Vec::new();
    for version in versions {
        lists.push(merged.price_list(version)?);
    }
    let mut lists = lists.into_iter();
    let first = lists.next().ok_or_else(|| serde_json::Error::custom("there is no version"))?;
    Ok((first, lists.collect()))
}

impl Merged {
    /// The price list of the next version.
    fn price_list(&mut self, changes: Changes) -> Result<PriceList, serde_json::Error> {
        let Changes { version, effective, credit, purchase, actions, plans } = changes;
        merge_fields(&mut self.credit, credit);
        merge_fields(&mut self.purchase, purchase);
        self.actions.merge(actions);
        self.plans.merge(plans);
        Ok(PriceList {
            version,
            effective,
            credit: parsed(self.credit.clone())?,
            purchase: parsed(self.purchase.clone())?,
            actions: self.actions.parsed()?,
            plans: self.plans.parsed()?,
        })
    }
}

/// Replaces the fields that have changed, and removes those that are null.
fn merge_fields(fields: &mut Fields, changes: Fields) {
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
}

fn parsed<T: DeserializeOwned>(fields: Fields) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(fields))
}

impl Named<Fields> {
    /// Changes, adds and removes values.
    fn merge(&mut self, changes: Named<Option<Fields>>) {
        for (name, changes) in changes.0 {
            let Some(changes) = changes else {
                self.0.retain(|(other, _)| *other != name);
                continue;
            };
            if let Some((_, fields)) = self.0.iter_mut().find(|(other, _)| *other == name) {
                merge_fields(fields, changes);
            } else {
                let mut fields = Fields::new();
                merge_fields(&mut fields, changes);
                self.0.push((name, fields));
            }
        }
    }

    /// The values, each with its name in the field `name`.
    fn parsed<T: DeserializeOwned>(&self) -> Result<Vec<T>, serde_json::Error> {
        let named = |(name, fields): &(String, Fields)| {
            let mut fields = fields.clone();
            fields.insert("name".to_owned(), Value::from(name.as_str()));
            parsed(fields).map_err(|error| Error::custom(format!("`{name}`: {error}")))
        };
        self.0.iter().map(named).collect()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Named<T>, M::Error> {
        let mut named = Vec::new();
        while let Some(entry) = map.next_entry()? {
            named.push(entry);
        }
        Ok(Named(named))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::catalogue::fixtures::parsed;
    use crate::domain::catalogue::price_list::PriceList;

    fn names(list: &PriceList) -> Vec<&str> {
        list.actions.iter().map(|price| price.name.as_str()).collect()
    }

    #[test]
    fn a_later_version_lists_its_changes_only() {
        let catalogue = parsed(
            r#"{ "version": "2", "effective": "2027-01-01", "credit": { "cents": 3 },
                 "purchase": { "presets": [50] }, "actions": { "image": { "credits": 9 } } },
               { "version": "3", "effective": "2028-01-01",
                 "actions": { "video": { "rounding": null, "free": ["failed"] } } }"#,
        );
        let [first, second, third] = *catalogue.lists().collect::<Vec<_>>() else { panic!() };
        let image = |list: &PriceList| list.price("image").unwrap().credits.get();
        assert_eq!([first, second, third].map(image), [3, 9, 9]);
        assert_eq!([first, second, third].map(|list| list.credit.cents), [2, 3, 3]);
        assert_eq!(second.credit.currency, first.credit.currency);
        assert_eq!(second.purchase.minimum, first.purchase.minimum);
        assert_eq!([first, third].map(|list| list.purchase.presets.len()), [2, 1]);
        assert_eq!(second.price("image").unwrap().free, ["rejected"]);
        let video = |list: &PriceList| list.price("video").unwrap().units(48);
        assert_eq!([first, second, third].map(video), [2, 2, 48]);
        assert_eq!(third.price("video").unwrap().free, ["failed"]);
        assert_eq!(second.plans, third.plans);
    }

    #[test]
    fn actions_keep_the_order_of_the_file() {
        let catalogue = parsed(
            r#"{ "version": "2", "effective": "2027-01-01", "actions": { "video": null,
                 "audio": { "code": "au", "unit": "song", "credits": 1, "charged": ["done"] } } }"#,
        );
        let lists: Vec<&PriceList> = catalogue.lists().collect();
        assert_eq!(names(lists[0]), ["image", "video"]);
        assert_eq!(names(lists[1]), ["image", "audio"]);
    }
}
