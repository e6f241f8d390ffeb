//! The schemas of the bodies: derived from their types, then completed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::domain::FieldError;
use shared::domain::limits::{
    BATCH_CHARGES_MAX, GIFT_CREDITS_MAX, HOLD_CREDITS_MAX, HOLD_SECONDS_MAX, INCLUDED_CREDITS_MAX,
    LEADS_MAX, PURCHASE_CREDITS_MAX, QUANTITY_MAX, SEATS_MAX, VERSION_MAX,
};
use shared::domain::settings::SETTING_CREDITS_MAX;
use shared::http::pages::LIMIT_MAX;

use crate::operation::{Body, Operation, Schemas, Shape, shape};

type Components = BTreeMap<String, Value>;

pub fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The name of a type in the document.
pub fn name_of(shape: &Shape) -> &str {
    shape.name.strip_suffix("View").unwrap_or(&shape.name)
}

/// The schemas of all bodies and queries by name. Those of queries become parameters.
pub fn schemas(operations: &[Operation]) -> Components {
    let mut schemas = derived(operations);
    add_batch_charge(&mut schemas);
    add_settings_replacement(&mut schemas);
    remove(&mut schemas, "SubscriptionRequest", "team");
    let requests = operations.iter().filter_map(|operation| operation.body.as_ref().map(name_of));
    let requests = reachable(&schemas, requests);
    let answers = reachable(&schemas, operations.iter().flat_map(answers).map(name_of));
    for (name, schema) in &mut schemas {
        match (requests.contains(name), answers.contains(name)) {
            (false, true) => complete_answer(schema),
            (_, false) => {}
            (true, true) => {
                assert_eq!(schema.get("properties"), None, "{name} is sent and answered");
            }
        }
    }
    add_bounds(&mut schemas);
    add_rules(&mut schemas);
    split_hold_request(&mut schemas);
    merge_entry(&mut schemas);
    schemas
}

/// The types of the answers of an operation.
pub fn answers(operation: &Operation) -> Vec<&Shape> {
    let bodies = operation.answers.iter().map(|answer| &answer.body);
    bodies
        .flat_map(|body| match body {
            Body::Json(shape)
            | Body::Named(_, shape)
            | Body::NamedList(_, shape)
            | Body::JsonOrCsv(shape) => vec![shape],
            Body::OneOf(shapes) => shapes.iter().collect(),
            Body::None | Body::Html | Body::Object => vec![],
        })
        .collect()
}

fn derived(operations: &[Operation]) -> Components {
    let mut all = Schemas::new();
    for operation in operations {
        let sent = operation.query.iter().chain(&operation.body);
        sent.chain(answers(operation)).for_each(|shape| (shape.collect)(&mut all));
    }
    (shape::<FieldError>().collect)(&mut all);
    let mut schemas = Components::new();
    for (name, schema) in all {
        let mut schema = serde_json::to_value(schema).unwrap();
        tidy(&mut schema);
        let name = name.strip_suffix("View").unwrap_or(&name).to_owned();
        let earlier = schemas.insert(name.clone(), schema.clone());
        assert!(earlier.is_none_or(|earlier| earlier == schema), "two types are named {name}");
    }
    schemas
}

/// Shortens the names of referenced types, and turns comments into descriptions.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get_mut("$ref") {
                *name = name.strip_suffix("View").unwrap_or(name).to_owned();
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = described(text);
            }
            fields.values_mut().for_each(tidy);
            // The description of an optional reference.
            let inner = fields.get_mut("oneOf").and_then(|either| either[0].as_object_mut());
            let inner = inner.filter(|inner| inner.contains_key("$ref"));
            if let Some(text) = inner.and_then(|inner| inner.remove("description")) {
                fields.insert("description".to_owned(), text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A comment on one line, with numbers for the constants that it links.
fn described(comment: &str) -> String {
    let mut text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, value) in [
        ("BATCH_CHARGES_MAX", BATCH_CHARGES_MAX.to_string()),
        ("GIFT_CREDITS_MAX", GIFT_CREDITS_MAX.to_string()),
        ("HOLD_CREDITS_MAX", HOLD_CREDITS_MAX.to_string()),
        ("HOLD_SECONDS_MAX", HOLD_SECONDS_MAX.to_string()),
        ("INCLUDED_CREDITS_MAX", INCLUDED_CREDITS_MAX.to_string()),
        ("PURCHASE_CREDITS_MAX", PURCHASE_CREDITS_MAX.to_string()),
        ("SEATS_MAX", SEATS_MAX.to_string()),
        ("pages::LIMIT_MAX", LIMIT_MAX.to_string()),
    ] {
        text = text.replace(&format!("[`{name}`]"), &value);
    }
    assert!(!text.contains("[`"), "a link in {text}");
    text
}

/// A charge of a batch has a key in its body. The path or the message has its team.
fn add_batch_charge(schemas: &mut Components) {
    remove(schemas, "ChargeRequest", "team");
    let mut batched = schemas["ChargeRequest"].clone();
    batched["description"] = json!("A charge of a batch.");
    batched["required"].as_array_mut().unwrap().push(json!("key"));
    batched["properties"]["key"] = reference("Key");
    schemas.insert("BatchCharge".to_owned(), batched);
    remove(schemas, "ChargeRequest", "key");
    let charges = &mut schemas.get_mut("ChargeBatch").unwrap()["properties"]["charges"];
    charges["items"] = reference("BatchCharge");
    charges["minItems"] = json!(1);
    charges["maxItems"] = json!(BATCH_CHARGES_MAX);
    schemas.get_mut("ChargeRequest").unwrap()["description"] = json!("A charge.");
}

/// PUT requires every setting.
fn add_settings_replacement(schemas: &mut Components) {
    let mut replacement = schemas["SettingsRequest"].clone();
    replacement["description"] = json!("All settings. `null` turns one off.");
    let names = replacement["properties"].as_object().unwrap().keys().cloned();
    replacement["required"] = names.collect();
    schemas.insert("SettingsReplacement".to_owned(), replacement);
    schemas.get_mut("SettingsRequest").unwrap()["description"] =
        json!("The settings to change. `null` turns one off.");
}

/// A hold has an amount or work.
fn split_hold_request(schemas: &mut Components) {
    let mut credits = schemas["HoldRequest"].clone();
    credits["description"] = json!("A hold of an amount of credits.");
    credits["required"] = json!(["credits"]);
    schemas.insert("HoldOfCredits".to_owned(), credits);
    for field in ["leads", "actions"] {
        remove(schemas, "HoldOfCredits", field);
    }
    let credits = &mut schemas.get_mut("HoldOfCredits").unwrap()["properties"]["credits"];
    credits.as_object_mut().unwrap().remove("oneOf");
    credits["$ref"] = reference("Credits")["$ref"].take();
    let mut work = schemas["HoldRequest"].clone();
    work["description"] = json!("A hold of the maximum cost of actions on leads.");
    work["required"] = json!(["actions"]);
    work["properties"]["actions"]["type"] = json!("array");
    schemas.insert("HoldForWork".to_owned(), work);
    remove(schemas, "HoldForWork", "credits");
    let either = json!({
        "description": "An amount of credits, or work.",
        "oneOf": [reference("HoldOfCredits"), reference("HoldForWork")],
    });
    schemas.insert("HoldRequest".to_owned(), either);
}

/// Removes a field that a request over HTTP does not have.
fn remove(schemas: &mut Components, name: &str, field: &str) {
    let properties = &mut schemas.get_mut(name).unwrap()["properties"];
    assert!(properties.as_object_mut().unwrap().remove(field).is_some(), "{name}.{field}");
}

/// The names of the schemas that these ones refer to, and their own.
pub fn reachable<'a>(
    schemas: &Components,
    names: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<String> = names.into_iter().map(str::to_owned).collect();
    while let Some(name) = open.pop() {
        if reached.insert(name.clone()) {
            references(&schemas[&name], &mut open);
        }
    }
    reached
}

fn references(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                into.push(name.rsplit('/').next().unwrap().to_owned());
            }
            fields.values().for_each(|value| references(value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An answer has each field that can be null, and may get further fields.
fn complete_answer(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("additionalProperties") == Some(&json!(false)) {
        fields.remove("additionalProperties");
    }
    if let Some(properties) = fields.get("properties").and_then(Value::as_object) {
        let nullable = properties.iter().filter(|(_, schema)| is_nullable(schema));
        let nullable: Vec<Value> = nullable.map(|(name, _)| json!(name)).collect();
        let required = fields.entry("required").or_insert_with(|| json!([]));
        required.as_array_mut().unwrap().extend(nullable);
    }
    for part in ["allOf", "oneOf"] {
        let parts = fields.get_mut(part).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(complete_answer);
    }
}

/// One object with the fields of every entry and those of its kind.
fn merge_entry(schemas: &mut Components) {
    let details = schemas.remove("EntryDetails").unwrap()["properties"].take();
    let entry = schemas.get_mut("Entry").unwrap();
    let description = entry["description"].take();
    *entry = entry["allOf"][1].take();
    entry["description"] = description;
    let fields = entry["properties"].as_object_mut().unwrap();
    fields.extend(details.as_object().unwrap().clone());
}

fn is_nullable(schema: &Value) -> bool {
    let null = json!("null");
    let types = schema["type"].as_array();
    let either = schema["oneOf"].as_array();
    types.is_some_and(|types| types.contains(&null))
        || either.is_some_and(|either| either.iter().any(|schema| schema["type"] == null))
}

/// The least and the largest value of each bounded field of a request, and its default.
fn add_bounds(schemas: &mut Components) {
    for (name, field, maximum, default) in [
        ("ChargeRequest", "quantity", QUANTITY_MAX, Some(1)),
        ("BatchCharge", "quantity", QUANTITY_MAX, Some(1)),
        ("HoldRequest", "credits", HOLD_CREDITS_MAX.get(), None),
        ("HoldRequest", "leads", LEADS_MAX, Some(1)),
        ("HoldRequest", "expires_in", HOLD_SECONDS_MAX.into(), Some(3_600)),
        ("EstimateRequest", "leads", LEADS_MAX, None),
        ("PurchaseRequest", "credits", PURCHASE_CREDITS_MAX.get(), None),
        ("GiftRequest", "credits", GIFT_CREDITS_MAX.get(), None),
        ("RecordedPurchaseRequest", "credits", PURCHASE_CREDITS_MAX.get(), None),
        ("SubscriptionRequest", "seats", SEATS_MAX.into(), Some(1)),
        ("AutoTopUpRequest", "below", SETTING_CREDITS_MAX.get(), None),
        ("AutoTopUpRequest", "credits", SETTING_CREDITS_MAX.get(), None),
        ("AutoTopUpRequest", "monthly_limit", SETTING_CREDITS_MAX.get(), None),
        ("HistoryQuery", "limit", LIMIT_MAX as u64, Some(50)),
        ("ListQuery", "limit", LIMIT_MAX as u64, Some(50)),
        ("PurchaseListQuery", "limit", LIMIT_MAX as u64, Some(50)),
    ] {
        let field = &mut schemas.get_mut(name).unwrap()["properties"][field];
        field["minimum"] = json!(1);
        field["maximum"] = json!(maximum);
        if let Some(default) = default {
            field["default"] = json!(default);
        }
    }
}

/// The rules of further fields of requests.
fn add_rules(schemas: &mut Components) {
    let kinds = json!([
        "charge", "capture", "hold", "release", "purchase", "gift", "grant", "expiry", "dispute"
    ]);
    for name in ["WebhookMessage", "WebhookData", "WebhookObject"] {
        schemas.get_mut(name).unwrap()["additionalProperties"] = json!(true);
    }
    schemas.get_mut("HistoryQuery").unwrap()["properties"]["kind"] =
        json!({ "type": "string", "enum": kinds, "description": "Entries of this kind only." });
    let mut rule = |name: &str, field: &str, rules: Value| {
        let field = &mut schemas.get_mut(name).unwrap()["properties"][field];
        field.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    };
    for name in ["HoldRequest", "EstimateRequest"] {
        rule(name, "actions", json!({ "minItems": 1, "uniqueItems": true }));
    }
    rule(
        "SubscriptionRequest",
        "included_credits",
        json!({ "maximum": INCLUDED_CREDITS_MAX.get() }),
    );
    for name in ["SubscriptionRequest", "CancelQuery"] {
        rule(name, "version", json!({ "maximum": VERSION_MAX }));
    }
    rule("CloseQuery", "confirm", json!({ "examples": ["t_1"] }));
    for name in ["SettingsRequest", "SettingsReplacement"] {
        let maximum = json!({ "maximum": SETTING_CREDITS_MAX.get() });
        rule(name, "low_balance_threshold", maximum);
    }
    let day_or_time = json!([{ "format": "date" }, { "format": "date-time" }]);
    for field in ["from", "to"] {
        rule("HistoryQuery", field, json!({ "anyOf": day_or_time }));
    }
}

/// The parameters of a query.
pub fn parameters(query: &Value) -> Vec<Value> {
    let required = query["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.contains(&json!(name)));
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().unwrap().remove("description");
        if let Some(types) = schema["type"].as_array() {
            schema["type"] = types[0].clone();
        }
        if schema["oneOf"].is_array() {
            schema = schema["oneOf"][0].clone();
        }
        json!({
            "name": name,
            "in": "query",
            "required": is_required(name),
            "description": description,
            "schema": schema,
        })
    };
    query["properties"].as_object().into_iter().flatten().map(parameter).collect()
}

/// The schema of an object with one field.
pub fn named(field: &str, schema: Value) -> Value {
    let properties = Map::from_iter([(field.to_owned(), schema)]);
    json!({ "type": "object", "required": [field], "properties": properties })
}
