//! The examples of bodies, in `examples.json` by the name of their schema.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub struct Examples(BTreeMap<String, Map<String, Value>>);

impl Examples {
    pub fn read() -> Self {
        Self(serde_json::from_str(include_str!("examples.json")).unwrap())
    }

    /// The examples of a schema, each with its name.
    pub fn entries(&self, schema: &str) -> impl Iterator<Item = (String, Value)> {
        let examples = self.0.get(schema).unwrap_or_else(|| panic!("{schema} has no example"));
        examples.iter().map(|(name, value)| (name.clone(), json!({ "value": value })))
    }

    pub fn of(&self, schema: &str) -> Value {
        self.entries(schema).collect::<Map<_, _>>().into()
    }

    /// The example of an answer with one field: the one with the name of the answer, or the only one.
    pub fn named(&self, field: &str, schema: &str, answer: &str) -> Value {
        let examples = &self.0[schema];
        let (name, value) =
            examples.iter().find(|(name, _)| *name == answer).unwrap_or_else(|| {
                examples.iter().next().unwrap_or_else(|| panic!("{schema} has no example"))
            });
        json!({ name: { "value": { field: value } } })
    }

    pub fn listed(&self, field: &str, schema: &str) -> Value {
        let items: Vec<&Value> = self.0[schema].values().collect();
        json!({ "list": { "value": { field: items } } })
    }
}
