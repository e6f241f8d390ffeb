//! The catalogue files of the repository: every version of them, and changes of a copy.

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::catalogue::{BUILT_IN, Catalogue};

use crate::support::api::{Api, admin, billing, member};
use crate::support::catalogue::{
    IMAGES, catalogue_with, fields, file_with, follows_schema, mistakes, versions,
};

#[test]
fn the_files_of_the_repository_have_no_mistakes() {
    for text in [BUILT_IN, IMAGES, &file_with([])] {
        assert_eq!(mistakes(text), "");
        assert!(follows_schema(text));
        assert_eq!(Catalogue::parse(text).unwrap().lists().count(), versions(text).len());
    }
}

/// Starts a stack at the first day of each version. Prices and grants are those of the version, merged by the
/// test.
#[tokio::test]
async fn every_version_charges_and_grants_what_its_file_says() {
    for text in [BUILT_IN, IMAGES] {
        for version in versions(text) {
            let first_day = format!("{}T10:00:00Z", version["effective"].as_str().unwrap());
            let api = Api::start_at(&first_day, Catalogue::parse(text).unwrap()).await;
            assert_grants(&api, &version).await;
            assert_agreed_amounts(&api, &version).await;
            assert_grants_of_new_accounts(&version).await;
            assert_prices(&api, &version).await;
            assert_charges(&api, &version).await;
            assert_own_keys(&api, &version).await;
            assert_month(&api, &version).await;
            assert_sale(&api, &version).await;
        }
    }
}

/// Opens a team with ten million purchased credits, on a plan that accepts subscriptions.
async fn open_team(api: &Api, version: &Value, team: &str) {
    let plans = fields(&version["plans"]);
    let (plan, _) = plans.into_iter().find(|(_, plan)| plan["retired"] != true).unwrap();
    api.subscribe(team, &json!({ "plan": plan })).await;
    let gift = json!({ "credits": 10_000_000 });
    api.post(&billing(), &format!("/teams/{team}/gifts"), "gift", &gift).await.ok();
}

/// The credits of a grant to a team of two seats.
fn grant(terms: &Value, credits: u64) -> u64 {
    if terms["per"] == "seat" { 2 * credits } else { credits }
}

/// Subscribes a team of two seats to each plan.
async fn assert_grants(api: &Api, version: &Value) {
    for (plan, terms) in fields(&version["plans"]) {
        let body =
            json!({ "plan": plan, "seats": 2, "account_created_at": "2010-01-01T00:00:00Z" });
        let answer = api.put(&billing(), &format!("/teams/{plan}/subscription"), &body).await;
        if terms["retired"] == true {
            answer.problem(400, "/problems/invalid-request");
            continue;
        }
        answer.ok();
        let granted = grant(terms, terms["credits"].as_u64().unwrap());
        assert_eq!(api.split(plan).await, (granted, 0), "{plan}");
        let own = api.get(&member(plan), "/team/credits").await.ok();
        let freemium = if terms["trial"] == true { granted } else { 0 };
        assert_eq!(own["details"]["remaining"]["freemium"], freemium, "{plan}");
        let has_refill = api.balance(plan).await["next_refill"].is_string();
        assert_eq!(has_refill, terms["cadence"] == "monthly" && granted > 0, "{plan}");
    }
}

/// Subscribes a team of two seats to each plan with another amount of credits.
async fn assert_agreed_amounts(api: &Api, version: &Value) {
    for (plan, terms) in fields(&version["plans"]) {
        if terms["retired"] == true {
            continue;
        }
        let team = format!("{plan}-agreed");
        let body = json!({ "plan": plan, "seats": 2, "included_credits": 7,
            "account_created_at": "2010-01-01T00:00:00Z" });
        let answer = api.put(&billing(), &format!("/teams/{team}/subscription"), &body).await;
        if terms["agreed_amount"] == true {
            answer.ok();
            assert_eq!(api.split(&team).await, (grant(terms, 7), 0), "{plan}");
        } else {
            answer.problem_of("included_credits");
        }
    }
}

/// Subscribes an account that was created on the first day on which a plan grants it nothing. That day may be
/// after the first day of a later version, so the stack has this version only.
async fn assert_grants_of_new_accounts(version: &Value) {
    for (plan, terms) in fields(&version["plans"]) {
        let Some(day) = terms["account_created_before"].as_str() else { continue };
        if terms["retired"] == true {
            continue;
        }
        let catalogue = Catalogue::parse(&json!({ "versions": [version] }).to_string()).unwrap();
        let today = day.max(version["effective"].as_str().unwrap());
        let api = Api::start_at(&format!("{today}T10:00:00Z"), catalogue).await;
        let body = json!({ "plan": plan, "account_created_at": format!("{day}T00:00:00Z") });
        api.subscribe("new", &body).await;
        assert_eq!(api.split("new").await, (0, 0), "{plan}");
    }
}

async fn assert_prices(api: &Api, version: &Value) {
    let listed = api.get(&member("t"), "/prices").await.ok();
    assert_eq!(listed["version"], version["version"]);
    let listed = listed["prices"].as_array().unwrap();
    assert_eq!(listed.len(), fields(&version["actions"]).len());
    for price in listed {
        let expected = &version["actions"][price["action"].as_str().unwrap()];
        let same = ["unit", "credits", "rounding"].map(|name| (name, name));
        for (listed, name) in same.into_iter().chain([("charged_outcomes", "charged")]) {
            assert_eq!(price[listed], expected[name], "{price}");
        }
        let free = expected["free"].as_array().cloned().unwrap_or_default();
        assert_eq!(price["free_outcomes"], Value::Array(free), "{price}");
        for (listed, name) in [
            ("enrichment", "enrichment"),
            ("free_with_own_key", "own_key"),
            ("monthly_per_account", "monthly_per_account"),
        ] {
            assert_eq!(price[listed], expected[name] == true, "{price}");
        }
    }
    let listed = api.get(&member("t"), "/plans").await.ok();
    for plan in listed["plans"].as_array().unwrap() {
        let expected = &version["plans"][plan["plan"].as_str().unwrap()];
        for name in ["credits", "per", "cadence", "account_created_before"] {
            assert_eq!(plan[name], expected[name], "{plan}");
        }
        assert_eq!(plan["retired"], expected["retired"] == true, "{plan}");
    }
}

/// Charges three units of each action with each outcome.
async fn assert_charges(api: &Api, version: &Value) {
    open_team(api, version, "charged").await;
    for (action, price) in fields(&version["actions"]) {
        // One more than two units is three started ones.
        let quantity =
            price["rounding"]["per_unit"].as_u64().map_or(3, |per_unit| 2 * per_unit + 1);
        for (kind, units) in [("charged", 3), ("free", 0)] {
            for outcome in price[kind].as_array().into_iter().flatten() {
                let body = json!({ "action": action, "outcome": outcome, "quantity": quantity });
                let key = format!("{action} {outcome}");
                let answer = api.charge_by_pipeline("charged", &key, &body).await.ok();
                let charge = &answer["charge"];
                let expected = units * price["credits"].as_u64().unwrap();
                assert_eq!(charge["credits"], expected, "{body}");
                assert_eq!(charge["price_version"], version["version"]);
            }
        }
    }
}

/// Charges each action with the team's own key: 0 credits, if the action permits the key.
async fn assert_own_keys(api: &Api, version: &Value) {
    open_team(api, version, "own-key").await;
    for (action, price) in fields(&version["actions"]) {
        let body = json!({ "action": action, "outcome": price["charged"][0], "own_key": true });
        let answer = api.charge_by_pipeline("own-key", action, &body).await;
        if price["own_key"] == true {
            assert_eq!(answer.ok()["charge"]["credits"], 0, "{action}");
        } else {
            answer.problem_of("own_key");
        }
    }
}

/// Adds a monitored account: its first month is charged at once.
async fn assert_month(api: &Api, version: &Value) {
    open_team(api, version, "monitor").await;
    let path = "/teams/monitor/monitored-accounts/acme";
    let added = api.send(Method::PUT, path, &admin("monitor"), None, None).await;
    let mut actions = fields(&version["actions"]).into_iter();
    let Some((action, price)) = actions.find(|(_, price)| price["monthly_per_account"] == true)
    else {
        added.problem_of("account");
        return;
    };
    added.ok();
    let history = api.history("monitor").await;
    let charge = history.iter().find(|entry| entry["action"] == **action).unwrap();
    assert_eq!(charge["account"], "acme");
    assert_eq!(charge["credits"].as_i64().unwrap(), -price["credits"].as_i64().unwrap());
}

/// Reads the terms of sale, and buys the fewest credits.
async fn assert_sale(api: &Api, version: &Value) {
    let [credit, purchase] = ["credit", "purchase"].map(|name| &version[name]);
    let amount = |credits: &Value| {
        let cents = credits.as_u64().unwrap() * credit["cents"].as_u64().unwrap();
        json!({ "cents": cents, "currency": credit["currency"] })
    };
    let preset = |credits| json!({ "credits": credits, "amount": amount(credits) });
    let presets: Vec<Value> = purchase["presets"].as_array().unwrap().iter().map(preset).collect();
    let options = json!({
        "cents_per_credit": credit["cents"], "currency": credit["currency"],
        "minimum": purchase["minimum"], "maximum": purchase["maximum"], "presets": presets,
    });
    assert_eq!(api.get(&member("t"), "/purchase-options").await.ok(), options);

    open_team(api, version, "buyer").await;
    let minimum = &purchase["minimum"];
    let (free, purchased) = api.split("buyer").await;
    let bought = api.buy("buyer", "order", minimum.as_u64().unwrap()).await.ok();
    assert_eq!(bought["purchase"]["amount"], amount(minimum));
    assert_eq!(api.split("buyer").await, (free, purchased + minimum.as_u64().unwrap()));
}

/// The edits of an operator: a price change of three lines, a new action, a new plan and a retired one.
#[tokio::test]
async fn a_price_an_action_and_a_plan_are_edits_of_the_file_only() {
    const CHANGES: &str = r#",
    { "version": "2", "effective": "2027-03-01",
      "actions": { "phone_finder": { "credits": 25 } }
    },
    { "version": "3", "effective": "2027-04-01",
      "actions": { "fax": { "code": "fx", "unit": "page", "credits": 3, "charged": ["sent"], "free": ["busy"] } },
      "plans": { "agency": { "credits": 70, "per": "seat", "cadence": "monthly" }, "email": { "retired": true } }
    }]}"#;
    let copy = file_with([]);
    let copy = copy.strip_suffix("]}").unwrap().to_owned() + CHANGES;
    assert_eq!(mistakes(&copy), "");
    assert!(follows_schema(&copy));
    let api = Api::start_with(Catalogue::parse(&copy).unwrap()).await;
    api.team_with("t", 1_000).await;
    api.subscribe("old", &json!({ "plan": "email" })).await;
    let phone = json!({ "action": "phone_finder", "outcome": "valid" });
    let fax = json!({ "action": "fax", "outcome": "sent", "quantity": 2 });
    let credits = async |key: &str, body: &Value| {
        api.charge("t", key, body).await.ok()["charge"]["credits"].clone()
    };
    assert_eq!(credits("phone 1", &phone).await, 20);
    api.charge("t", "fax 1", &fax).await.problem(400, "/problems/invalid-request");

    api.travel("2027-03-01T00:00:00Z").await;
    assert_eq!(credits("phone 2", &phone).await, 25);
    assert_eq!(credits("phone 1", &phone).await, 20, "a replay keeps its price");

    api.travel("2027-04-01T00:00:00Z").await;
    assert_eq!(credits("fax 1", &fax).await, 6);
    let usage = api.usage("t", "").await["actions"].clone();
    assert!(usage.as_array().unwrap().iter().any(|row| row["action"] == "fax"), "{usage}");
    api.subscribe("new", &json!({ "plan": "agency", "seats": 2 })).await;
    assert_eq!(api.split("new").await, (140, 0));
    let retired = json!({ "plan": "email" });
    let refused = api.put(&billing(), "/teams/new/subscription", &retired).await;
    refused.problem(400, "/problems/invalid-request");
    let seats = api.subscribe("old", &json!({ "plan": "email", "seats": 3 })).await;
    assert_eq!(seats["plan"], "email", "an existing subscriber keeps the plan");
}

/// A subscription keeps the mark of its plan.
#[tokio::test]
async fn a_later_version_does_not_change_whether_a_plan_is_a_trial() {
    let later = json!({ "version": "2", "effective": "2027-03-01",
        "plans": { "free_trial": { "trial": false } } });
    let api = Api::start_with(catalogue_with([later])).await;
    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    let freemium = async || {
        let credits = api.get(&member("t"), "/team/credits").await.ok();
        credits["details"]["remaining"]["freemium"].clone()
    };
    assert_eq!(freemium().await, 200, "before the later version");
    api.travel("2027-03-02T00:00:00Z").await;
    assert_eq!(freemium().await, 200, "a subscription of the first version");
    api.subscribe("u", &json!({ "plan": "free_trial" })).await;
    let credits = api.get(&member("u"), "/team/credits").await.ok();
    assert_eq!(credits["details"]["remaining"]["freemium"], 0);
}

/// An action with a single outcome gets another one. A request that named none is still the same request.
#[tokio::test]
async fn a_replay_without_an_outcome_survives_another_outcome() {
    let later = json!({ "version": "2", "effective": "2027-03-01",
        "actions": { "sms": { "charged": ["delivered"] } } });
    let api = Api::start_with(catalogue_with([later])).await;
    api.team_with("t", 100).await;
    let sms = json!({ "action": "sms" });
    let first = api.charge("t", "k", &sms).await;
    assert_eq!(first.json()["charge"]["outcome"], "sent");
    api.travel("2027-03-02T00:00:00Z").await;
    let again = api.charge("t", "k", &sms).await;
    assert_eq!((again.is_replayed(), again.json()), (true, first.json()));
    let named = json!({ "action": "sms", "outcome": "delivered" });
    api.charge("t", "k", &named).await.problem(422, "/problems/idempotency-key-reused");
    let batch = json!({ "charges": [{ "key": "k", "action": "sms" }] });
    let batch = api.post(&member("t"), "/teams/t/charges/batch", "", &batch).await.ok();
    assert_eq!(batch["results"][0]["status"], "replayed");
}
