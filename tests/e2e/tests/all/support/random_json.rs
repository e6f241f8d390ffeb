//! Random JSON documents and random changes of valid ones.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

pub fn text() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "",
        ".",
        "..",
        "#",
        "?x",
        "%23",
        "a/b",
        "\u{0}",
        "\u{ff1d}1",
        "t",
        "h_1",
        "k",
        "null",
        "-1",
        "9007199254740993",
        "{}",
        "\"",
        "credits:manage",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "\\PC{0,12}", Just("x".repeat(300))]
}

pub fn number() -> impl Strategy<Value = Value> {
    let odd = select(vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(9_007_199_254_740_992_u64),
        json!(1_000_001),
    ]);
    prop_oneof![odd, (0..2_000_u32).prop_map(|number| json!(number))]
}

pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// A change of a valid JSON document.
#[derive(Clone, Debug)]
pub enum Change {
    /// Replaces a value.
    Replace(Index, Value),
    /// Adds a field to an object.
    Add(Index, String, Value),
    /// Removes a value from its object.
    Remove(Index),
}

pub fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), any_json()).prop_map(|(at, value)| Change::Replace(at, value)),
        1 => (place(), text(), any_json()).prop_map(|(at, name, value)| Change::Add(at, name, value)),
        2 => place().prop_map(Change::Remove),
    ]
}

/// Collects the pointers of all values of a document.
pub fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub fn changed(mut value: Value, changes: &[Change]) -> Value {
    for change in changes {
        let mut places: Vec<String> = Vec::new();
        pointers(&value, "", &mut places);
        let (Change::Replace(at, _) | Change::Add(at, ..) | Change::Remove(at)) = change;
        let place: &String = at.get(&places);
        match change {
            Change::Replace(_, new) => *value.pointer_mut(place).unwrap() = new.clone(),
            Change::Add(_, name, new) => {
                if let Some(Value::Object(map)) = value.pointer_mut(place) {
                    map.insert(name.clone(), new.clone());
                }
            }
            Change::Remove(_) => {
                let parent = place.rsplit_once('/');
                let parent = parent.and_then(|(parent, name)| {
                    Some((value.pointer_mut(parent)?.as_object_mut()?, name))
                });
                if let Some((object, name)) = parent {
                    object.remove(name);
                }
            }
        }
    }
    value
}
