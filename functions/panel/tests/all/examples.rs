//! The examples of bodies, in `examples.json` by the name of their schema, or by the media type of a text.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::document::document;

type Named = BTreeMap<String, Value>;

pub struct Examples {
    by_schema: BTreeMap<String, Named>,
    /// The examples that the document has, each with its schema.
    used: RefCell<BTreeSet<(String, String)>>,
}

impl Examples {
    pub fn read() -> Self {
        let by_schema = serde_json::from_str(include_str!("examples.json")).unwrap();
        Self { by_schema, used: RefCell::default() }
    }

    fn named_examples(&self, schema: &str) -> &Named {
        self.by_schema.get(schema).unwrap_or_else(|| panic!("{schema} has no example"))
    }

    fn use_of(&self, schema: &str, name: &str) {
        self.used.borrow_mut().insert((schema.to_owned(), name.to_owned()));
    }

    /// The examples that the document lacks.
    pub fn unused(&self) -> Vec<(String, String)> {
        let all = self.by_schema.iter().flat_map(|(schema, examples)| {
            examples.keys().map(|name| (schema.clone(), name.clone()))
        });
        let used = self.used.borrow();
        all.filter(|example| !used.contains(example)).collect()
    }

    /// The examples of a schema, each with its name.
    pub fn entries(&self, schema: &str) -> impl Iterator<Item = (String, Value)> {
        self.named_examples(schema).iter().map(move |(name, value)| {
            self.use_of(schema, name);
            (name.clone(), json!({ "value": value }))
        })
    }

    pub fn of(&self, schema: &str) -> Value {
        self.entries(schema).collect::<Map<_, _>>().into()
    }

    /// The example of an answer with one field: the one with the name of the answer (`operation.status`) or of its
    /// operation, or the first one that has no name of an answer.
    pub fn named(&self, field: &str, schema: &str, answer: &str) -> Value {
        let examples = self.named_examples(schema);
        let (name, value) = examples
            .get_key_value(answer)
            .or_else(|| examples.get_key_value(answer.split('.').next()?))
            .or_else(|| examples.iter().find(|(name, _)| !name.contains('.')))
            .unwrap_or_else(|| panic!("{schema} has no example for {answer}"));
        self.use_of(schema, name);
        json!({ name: { "value": { field: value } } })
    }

    pub fn listed(&self, field: &str, schema: &str) -> Value {
        let examples = self.named_examples(schema);
        for name in examples.keys() {
            self.use_of(schema, name);
        }
        let items: Vec<&Value> = examples.values().collect();
        json!({ "list": { "value": { field: items } } })
    }
}

/// The examples of an answer of an operation, without their names.
fn shown(path: &str, method: &str, status: &str, media: &str) -> Vec<Value> {
    let mut document = document();
    let content = &mut document["paths"][path][method]["responses"][status]["content"];
    let Value::Object(examples) = content[media]["examples"].take() else {
        panic!("{method} {path} {status} has no example");
    };
    examples.into_values().map(|mut example| example["value"].take()).collect()
}

#[test]
fn an_example_of_a_purchase_has_the_status_of_its_answer() {
    let (purchases, one) = ("/teams/{team}/purchases", "/teams/{team}/purchases/{id}");
    for (path, method, status, expected) in [
        (purchases, "post", "201", "paid"),
        (purchases, "post", "200", "paid"),
        (purchases, "post", "202", "pending"),
        (one, "get", "200", "paid"),
    ] {
        let examples = shown(path, method, status, "application/json");
        let statuses: Vec<&Value> = examples.iter().map(|it| &it["purchase"]["status"]).collect();
        assert_eq!(statuses, [expected], "{method} {path} {status}");
        let is_pending = expected == "pending";
        assert_eq!(examples[0]["purchase"].get("next_action").is_some(), is_pending, "{path}");
    }
}
