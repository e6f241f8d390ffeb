//! Catalogue files: every version of those in the repository, the check of a file, and its schema.

use jsonschema::validator_for;
use local::catalogue::check;
use serde_json::{Value, json};
use shared::domain::catalogue::{BUILT_IN, Catalogue};

use crate::support::api::{Api, NOW, billing, member};
use crate::support::catalogue::{IMAGES, fields, file_with, versions};

const SCHEMA: &str = include_str!("../../../../shared/catalogue.schema.json");

/// The mistakes in a text, one per line.
fn mistakes(text: &str) -> String {
    check(text).iter().map(|mistake| format!("{mistake}\n")).collect()
}

fn follows_schema(text: &str) -> bool {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    serde_json::from_str(text).is_ok_and(|file| validator_for(&schema).unwrap().is_valid(&file))
}

#[test]
fn the_files_of_the_repository_have_no_mistakes() {
    for text in [BUILT_IN, IMAGES, &file_with([])] {
        assert_eq!(mistakes(text), "");
        assert!(follows_schema(text));
        assert_eq!(Catalogue::parse(text).unwrap().lists().count(), versions(text).len());
    }
}

/// Starts a stack for each version of the files, at its first day. Prices and grants are those of the
/// version, merged by the test.
#[tokio::test]
async fn every_version_charges_and_grants_what_its_file_says() {
    for text in [BUILT_IN, IMAGES] {
        for version in versions(text) {
            let api = Api::start_with(Catalogue::parse(text).unwrap()).await;
            let effective = version["effective"].as_str().unwrap().max(&NOW[..10]);
            api.travel(&format!("{effective}T10:00:00Z")).await;
            charges_of(&api, &version).await;
            grants_of(&api, &version).await;
        }
    }
}

/// Charges three of each action with each outcome.
async fn charges_of(api: &Api, version: &Value) {
    let mut sum = 0;
    for (action, price) in fields(&version["actions"]) {
        let per_unit = price["rounding"]["per_unit"].as_u64();
        for (kind, outcome) in ["charged", "free"].iter().flat_map(|kind| {
            price[kind].as_array().into_iter().flatten().map(move |outcome| (*kind, outcome))
        }) {
            // One more than two units is three started ones.
            let quantity = per_unit.map_or(3, |per_unit| 2 * per_unit + 1);
            let body = json!({ "team": "t", "action": action, "outcome": outcome, "quantity": quantity });
            let list = Catalogue::parse(&json!({ "versions": [version] }).to_string()).unwrap();
            let cost = list.lists().next().unwrap().price(action).unwrap();
            let cost = cost.cost(quantity, outcome.as_str().unwrap(), false).unwrap().get();
            let expected = if kind == "charged" { 3 * price["credits"].as_u64().unwrap() } else { 0 };
            assert_eq!(cost, expected, "{body}");
            sum += cost;
        }
    }
    assert!(sum > 0);
    let at = version["effective"].as_str().unwrap();
    let listed = api.get(&member("t"), &format!("/prices?at={at}")).await.ok();
    assert_eq!(listed["version"], version["version"]);
    let listed = listed["prices"].as_array().unwrap();
    assert_eq!(listed.len(), fields(&version["actions"]).len());
    for price in listed {
        let expected = &version["actions"][price["action"].as_str().unwrap()];
        for (listed, name) in [
            ("unit", "unit"),
            ("credits", "credits"),
            ("rounding", "rounding"),
            ("charged_outcomes", "charged"),
        ] {
            assert_eq!(price[listed], expected[name], "{price}");
        }
        assert_eq!(price["enrichment"], expected["enrichment"] == true, "{price}");
    }
}

/// Subscribes a team of two seats to each plan.
async fn grants_of(api: &Api, version: &Value) {
    for (plan, terms) in fields(&version["plans"]) {
        let body = json!({ "plan": plan, "seats": 2, "account_created_at": "2010-01-01T00:00:00Z" });
        let answer = api.put(&billing(), &format!("/teams/{plan}/subscription"), &body).await;
        if terms["retired"] == true {
            answer.problem(400, "/problems/invalid-request");
            continue;
        }
        let seats = if terms["per"] == "seat" { 2 } else { 1 };
        let granted = seats * terms["credits"].as_u64().unwrap();
        answer.ok();
        assert_eq!(api.split(plan).await, (granted, 0), "{plan}");
        let refills = api.balance(plan).await["next_refill"].is_string();
        assert_eq!(refills, terms["cadence"] == "monthly" && granted > 0, "{plan}");
    }
}
