//! Every row of the prices and plans, repeated from the rules.

use serde_json::{Value, json};

use crate::support::api::{Api, member};

/// Action, unit, credits, charged outcomes, free outcomes.
type Row = (&'static str, &'static str, u64, &'static [&'static str], &'static [&'static str]);

const PRICES: &[Row] = &[
    (
        "email_finder",
        "lead",
        5,
        &["deliverable", "risky"],
        &["undeliverable", "unverified", "not_found"],
    ),
    ("linkedin_enrichment", "lead", 1, &["found"], &["not_found"]),
    ("phone_finder", "lead", 20, &["valid"], &["invalid", "inactive", "not_found"]),
    ("call", "started_minute", 4, &["answered"], &["unanswered"]),
    ("sms", "message", 6, &["sent"], &[]),
    ("ai_variable", "request", 1, &["valid"], &["invalid"]),
    ("signal_website_visitor", "company", 20, &["identified"], &["not_identified"]),
    ("signal_linkedin_people", "result", 50, &["identified"], &["not_identified"]),
    ("signal_linkedin_company", "result", 50, &["identified"], &["not_identified"]),
    ("signal_linkedin_keywords", "result", 50, &["identified"], &["not_identified"]),
    ("signal_custom", "account_month", 50, &["monitored"], &[]),
    ("signal_competitor_connection", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_technology_change", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_job_change", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_new_hire", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_promotion", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_hiring", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_funding", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_merger", "signal", 100, &["identified"], &["not_identified"]),
    ("signal_external_contact", "signal", 1, &["pushed"], &[]),
    ("signal_external_company", "signal", 1, &["pushed"], &[]),
];

#[tokio::test]
async fn every_action_costs_what_the_rules_say() {
    let api = Api::start().await;
    api.team_with("t", 100_000).await;
    let mut left = 100_000;
    let every: Vec<&str> = PRICES
        .iter()
        .flat_map(|(.., charged, free)| charged.iter().chain(*free))
        .copied()
        .collect();
    for (action, _, credits, charged, free) in PRICES {
        for outcome in &every {
            let body = json!({ "action": action, "outcome": outcome, "quantity": 3 });
            let key = format!("{action} {outcome}");
            let answer = api.charge_by_pipeline("t", &key, &body).await;
            let units = if *action == "call" { 1 } else { 3 };
            let cost = if charged.contains(outcome) { credits * units } else { 0 };
            if charged.contains(outcome) || free.contains(outcome) {
                let charge = &answer.ok()["charge"];
                assert!([200, 201].contains(&answer.status));
                assert_eq!(charge["credits"], cost, "{key}");
                assert_eq!(charge["price_version"], "1");
                left -= if answer.is_replayed() { 0 } else { cost };
            } else {
                let problem = answer.problem(400, "/problems/invalid-request");
                assert_eq!(problem["errors"][0]["field"], "outcome", "{key}");
            }
        }
        // The outcome is optional if the action has only one.
        let untold =
            api.charge("t", &format!("{action} untold"), &json!({ "action": action })).await;
        if charged.len() + free.len() == 1 {
            assert_eq!(untold.ok()["charge"]["credits"], *credits);
            left -= credits;
        } else {
            untold.problem(400, "/problems/invalid-request");
        }
    }
    assert_eq!(api.split("t").await, (left, 0));
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn the_price_list_states_every_price() {
    let api = Api::start().await;
    let list = api.get(&member("unknown"), "/prices").await.ok();
    assert_eq!((&list["version"], &list["effective"]), (&json!("1"), &json!("2020-01-01")));
    let listed = list["prices"].as_array().unwrap();
    assert_eq!(listed.len(), PRICES.len());
    for ((action, unit, credits, charged, free), listed) in PRICES.iter().zip(listed) {
        assert_eq!(listed["action"], *action);
        assert_eq!(listed["unit"], *unit, "{action}");
        assert_eq!(listed["credits"], *credits, "{action}");
        assert_eq!(listed["charged_outcomes"], json!(charged), "{action}");
        assert_eq!(listed["free_outcomes"], json!(free), "{action}");
    }
}

#[tokio::test]
async fn an_own_key_makes_ai_actions_free() {
    let api = Api::start().await;
    api.team_with("t", 10).await;
    let own = json!({ "action": "ai_variable", "outcome": "valid", "own_key": true });
    assert_eq!(api.charge("t", "own", &own).await.ok()["charge"]["credits"], 0);
    let elsewhere = json!({ "action": "sms", "own_key": true });
    api.charge("t", "sms", &elsewhere).await.problem(400, "/problems/invalid-request");
    assert_eq!(api.split("t").await, (10, 0));
}

/// Request of a plan, free credits of two seats at the start and after a month in which all but one
/// credit were spent, and the row in `GET /plans`.
fn plans() -> Vec<(Value, u64, u64, Value)> {
    let plan = |plan: &str, credits: u64, per: &str, cadence: &str| json!({ "plan": plan, "credits": credits, "per": per, "cadence": cadence, "account_created_before": null, "retired": false });
    let mut email_pro = plan("email_pro", 1_000, "seat", "monthly");
    email_pro["account_created_before"] = json!("2025-12-18");
    let existing = json!({ "plan": "email_pro", "account_created_at": "2025-12-17T23:59:59Z" });
    let new = json!({ "plan": "email_pro", "account_created_at": "2025-12-18T00:00:00Z" });
    let enterprise = plan("enterprise", 400, "team", "once");
    vec![
        (json!({ "plan": "free_trial" }), 200, 1, plan("free_trial", 200, "team", "once")),
        (json!({ "plan": "email" }), 0, 0, plan("email", 0, "team", "none")),
        (existing, 2_000, 2_000, email_pro.clone()),
        (new, 0, 0, email_pro),
        (
            json!({ "plan": "multichannel_expert" }),
            800,
            800,
            plan("multichannel_expert", 400, "seat", "monthly"),
        ),
        (json!({ "plan": "enterprise" }), 400, 1, enterprise.clone()),
        (json!({ "plan": "enterprise", "included_credits": 900 }), 900, 1, enterprise),
    ]
}

#[tokio::test]
async fn every_plan_grants_what_the_rules_say() {
    let api = Api::start().await;
    let listed = api.get(&member("unknown"), "/plans").await.ok();
    let mut after = Vec::new();
    for (number, (mut terms, start, month, view)) in plans().into_iter().enumerate() {
        let name = terms["plan"].clone();
        assert!(listed["plans"].as_array().unwrap().contains(&view), "{listed} lacks {view}");
        terms["seats"] = json!(2);
        let team = format!("team-{number}");
        api.subscribe(&team, &terms).await;
        assert_eq!(api.split(&team).await, (start, 0), "{name}");
        if start > 0 {
            let body = json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": start - 1 });
            api.charge(&team, "all but one", &body).await.ok();
        }
        let next = api.balance(&team).await["next_refill"].clone();
        assert_eq!(next == "2027-02-28", month > 1, "{name}: {next}");
        after.push((team, name, month));
    }
    assert_eq!(listed["plans"].as_array().unwrap().len(), 5);
    api.travel("2027-02-28T00:00:00Z").await;
    for (team, name, month) in after {
        assert_eq!(api.split(&team).await, (month, 0), "{name} after a month");
        api.assert_ledger(&team).await;
    }
}
