//! Changes of the document, and whether they break clients.

use serde_json::{Value, json};

use crate::breaking::breaking_changes;
use crate::document::document;

/// The document after a change at a place.
fn changed(place: &str, change: &dyn Fn(&mut Value)) -> (Value, Value) {
    let old = document();
    let mut new = old.clone();
    change(new.pointer_mut(place).unwrap_or_else(|| panic!("{place} is no place")));
    (old, new)
}

fn remove(name: &'static str) -> Box<dyn Fn(&mut Value)> {
    Box::new(move |value| {
        assert!(value.as_object_mut().unwrap().remove(name).is_some(), "{name} is not there");
    })
}

fn put(name: &'static str, to: Value) -> Box<dyn Fn(&mut Value)> {
    Box::new(move |value| value[name] = to.clone())
}

fn push(item: Value) -> Box<dyn Fn(&mut Value)> {
    Box::new(move |value| value.as_array_mut().unwrap().push(item.clone()))
}

fn pop() -> Box<dyn Fn(&mut Value)> {
    Box::new(|value| assert!(value.as_array_mut().unwrap().pop().is_some()))
}

const SCHEMAS: &str = "/components/schemas";
const CHARGES: &str = "/paths/~1teams~1{team}~1charges/post";
const HISTORY: &str = "/paths/~1teams~1{team}~1history/get";
const HOLDS: &str = "/paths/~1teams~1{team}~1holds/get";

#[test]
fn finds_every_change_of_the_contract_that_breaks_clients() {
    let optional = || json!({ "name": "x", "in": "query", "required": true, "schema": {} });
    for (place, change, expected) in [
        ("/paths".to_owned(), remove("/plans"), "operation is removed"),
        (CHARGES.to_owned(), put("operationId", json!("charge")), "operation id"),
        (CHARGES.to_owned(), put("security", json!([])), "need of a token"),
        (format!("{CHARGES}/x-callers"), pop(), "callers"),
        (format!("{HOLDS}/parameters"), pop(), "parameter is removed"),
        (format!("{HOLDS}/parameters"), push(optional()), "becomes required"),
        (format!("{HOLDS}/parameters/1"), put("required", json!(true)), "becomes required"),
        (format!("{HOLDS}/parameters/2/schema"), put("maximum", json!(100)), "becomes smaller"),
        (HOLDS.to_owned(), put("requestBody", json!({ "required": true })), "a body"),
        (format!("{CHARGES}/responses"), remove("201"), "status is removed"),
        (format!("{CHARGES}/responses/200/headers"), remove("Idempotent-Replayed"), "header"),
        (
            "/paths/~1teams~1{team}~1history/get/responses/200/content".to_owned(),
            remove("text/csv"),
            "text/csv is removed",
        ),
        (format!("{SCHEMAS}/Charge/properties"), remove("credits"), "field is removed"),
        (format!("{SCHEMAS}/Charge/required"), pop(), "becomes optional"),
        (
            format!("{SCHEMAS}/Cycle/properties/start"),
            put("type", json!(["string", "null"])),
            "type",
        ),
        (format!("{SCHEMAS}/Charge/properties/own_key"), put("type", json!("boolean")), "type"),
        (format!("{SCHEMAS}/Cycle/properties/start"), put("format", json!("date-time")), "format"),
        (format!("{SCHEMAS}/HoldStatus/enum"), push(json!("lost")), "values"),
        (format!("{SCHEMAS}/HoldStatus/enum"), pop(), "values"),
        (format!("{SCHEMAS}/Hold/properties/reference/oneOf"), pop(), "alternative is removed"),
        (format!("{SCHEMAS}/ChargeResult/oneOf"), push(json!({ "type": "null" })), "is added"),
        (format!("{SCHEMAS}/ChargeRequest/properties"), remove("reference"), "field is removed"),
        (format!("{SCHEMAS}/ChargeRequest/required"), push(json!("outcome")), "becomes required"),
        (
            format!("{SCHEMAS}/ChargeRequest/properties/outcome"),
            put("type", json!("string")),
            "type",
        ),
        (
            format!("{SCHEMAS}/ChargeRequest/properties/quantity"),
            put("format", json!("int32")),
            "format",
        ),
        (
            format!("{SCHEMAS}/ChargeRequest/properties/action"),
            put("maxLength", json!(9)),
            "smaller",
        ),
        (format!("{SCHEMAS}/GiftRequest/properties/credits"), put("minimum", json!(2)), "larger"),
        (format!("{SCHEMAS}/TeamId"), put("pattern", json!("^t_")), "pattern"),
        (SCHEMAS.to_owned(), remove("BusyProblem"), "problem type is removed"),
        (format!("{SCHEMAS}/BusyForPersonProblem/properties"), remove("retry_after"), "removed"),
    ] {
        let (old, new) = changed(&place, &change);
        let found = breaking_changes(&old, &new);
        assert!(found.iter().any(|it| it.contains(expected)), "{place} {expected}: {found:?}");
    }
}

#[test]
fn finds_narrowed_requests_of_the_contract() {
    let from = format!("{HISTORY}/parameters/3/schema");
    let request = format!("{SCHEMAS}/ChargeRequest");
    for (place, change, expected) in [
        (format!("{from}/anyOf"), pop(), "alternative is removed"),
        (format!("{from}/anyOf/0"), put("format", json!("uuid")), "format"),
        (from.clone(), put("type", json!("integer")), "type"),
        (from, put("minLength", json!(11)), "minLength becomes larger"),
        (
            format!("{SCHEMAS}/ChargeBatch/properties/charges"),
            put("uniqueItems", json!(true)),
            "uniqueItems",
        ),
        (format!("{HOLDS}/parameters/2/schema"), put("default", json!(10)), "default"),
        (format!("{HOLDS}/parameters/2"), put("style", json!("form")), "style changes"),
        (format!("{request}/properties/quantity"), put("multipleOf", json!(5)), "multipleOf"),
        (request.clone(), put("dependentRequired", json!({ "hold": ["user"] })), "dependent"),
    ] {
        let (old, new) = changed(&place, &change);
        let found = breaking_changes(&old, &new);
        assert!(found.iter().any(|it| it.contains(expected)), "{place} {expected}: {found:?}");
    }
    for (place, change, expected) in [
        (format!("{CHARGES}/requestBody"), put("required", json!(false)), "a body"),
        (request.clone(), remove("additionalProperties"), "additionalProperties"),
        (format!("{request}/properties/quantity"), remove("type"), "type"),
        (format!("{HISTORY}/parameters/3/schema"), remove("anyOf"), "alternative"),
    ] {
        let (new, old) = changed(&place, &change);
        let found = breaking_changes(&old, &new);
        assert!(found.iter().any(|it| it.contains(expected)), "{place} {expected}: {found:?}");
    }
}

#[test]
fn finds_widened_answers_of_the_contract() {
    let wait = format!("{SCHEMAS}/BusyForPersonProblem/properties/retry_after");
    let rates = format!("{SCHEMAS}/Estimate/properties/hit_rates");
    let headers = "/components/headers";
    for (place, change, expected) in [
        (format!("{headers}/Retry-After/schema"), put("type", json!("string")), "type"),
        (format!("{headers}/Retry-After/schema"), remove("type"), "type"),
        (format!("{headers}/Retry-After/schema"), remove("minimum"), "minimum becomes smaller"),
        (format!("{headers}/Retry-After"), put("required", json!(false)), "becomes optional"),
        (format!("{headers}/Retry-After"), put("explode", json!(true)), "explode changes"),
        (format!("{headers}/WWW-Authenticate/schema"), put("const", json!("Basic")), "const"),
        (wait.clone(), put("minimum", json!(0)), "minimum becomes smaller"),
        (wait, remove("minimum"), "minimum becomes smaller"),
        (format!("{SCHEMAS}/Credits"), remove("maximum"), "maximum becomes larger"),
        (rates.clone(), remove("additionalProperties"), "additionalProperties"),
        (format!("{rates}/additionalProperties"), put("type", json!("number")), "type"),
        (rates, put("patternProperties", json!({})), "patternProperties changes"),
    ] {
        let (old, new) = changed(&place, &change);
        let found = breaking_changes(&old, &new);
        assert!(found.iter().any(|it| it.contains(expected)), "{place} {expected}: {found:?}");
    }
}

#[test]
fn permits_changes_of_the_contract_that_break_no_client() {
    let schema = json!({ "type": "string" });
    let optional = json!({ "name": "x", "in": "query", "required": false, "schema": {} });
    let text = "a text".into();
    for (place, change) in [
        ("/paths".to_owned(), put("/more", json!({ "get": { "operationId": "more" } }))),
        (CHARGES.to_owned(), put("description", text)),
        (format!("{CHARGES}/x-callers"), push(json!("credits:read"))),
        (format!("{CHARGES}/responses"), put("418", json!({ "description": "new" }))),
        (format!("{CHARGES}/responses"), remove("429")),
        (format!("{HOLDS}/parameters"), push(optional)),
        (format!("{HOLDS}/parameters/2/schema"), put("maximum", json!(500))),
        (format!("{SCHEMAS}/Charge/properties"), put("more", schema.clone())),
        (format!("{SCHEMAS}/ChargeRequest/properties"), put("more", schema)),
        (format!("{SCHEMAS}/ChargeRequest/required"), pop()),
        (
            format!("{SCHEMAS}/ChargeRequest/properties/action"),
            put("type", json!(["string", "null"])),
        ),
        (format!("{SCHEMAS}/TeamId"), remove("pattern")),
        (format!("{HISTORY}/parameters/3/schema"), remove("anyOf")),
        (format!("{HISTORY}/parameters/3/schema/anyOf"), push(json!({ "format": "uuid" }))),
        (format!("{CHARGES}/requestBody"), put("required", json!(false))),
        (format!("{SCHEMAS}/ChargeRequest"), remove("additionalProperties")),
        (format!("{SCHEMAS}/EstimateRequest/properties/actions"), remove("uniqueItems")),
        (
            format!("{SCHEMAS}/BusyForPersonProblem/properties/retry_after"),
            put("maximum", json!(60)),
        ),
        ("/components/headers/Retry-After".to_owned(), put("description", json!("Wait."))),
    ] {
        let (old, new) = changed(&place, &change);
        assert_ne!(old, new, "{place}");
        assert_eq!(breaking_changes(&old, &new), Vec::<String>::new(), "{place}");
    }
}

#[test]
fn a_major_version_permits_every_change_of_the_contract() {
    let (old, mut new) = changed("/paths", &remove("/plans"));
    assert_eq!(breaking_changes(&old, &new).len(), 1);
    new["info"]["version"] = json!("1.9.0");
    assert_eq!(breaking_changes(&old, &new).len(), 1);
    new["info"]["version"] = json!("2.0.0");
    assert_eq!(breaking_changes(&old, &new), Vec::<String>::new());
}
