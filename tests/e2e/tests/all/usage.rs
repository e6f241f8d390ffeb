//! What a team sees of its usage: this cycle, estimates from it, and how long credits last.

use serde_json::{Value, json};

use crate::support::api::{Api, member, pipeline};

impl Api {
    pub async fn usage(&self, team: &str, query: &str) -> Value {
        self.get(&member(team), &format!("/teams/{team}/usage{query}")).await.ok()
    }

    async fn email(&self, key: &str, outcome: &str, quantity: u32) {
        let body = json!({ "action": "email_finder", "outcome": outcome, "quantity": quantity });
        self.charge("t", key, &body).await.ok();
    }

    async fn estimate(&self, actions: &[&str]) -> Value {
        let work = json!({ "leads": 100, "actions": actions });
        self.post(&member("t"), "/teams/t/estimates", "", &work).await.ok()
    }
}

#[tokio::test]
async fn the_current_cycle_by_action() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 3 })).await;
    api.email("hits", "deliverable", 61).await;
    api.email("misses", "not_found", 39).await;
    let usage = api.usage("t", "").await;
    let email = json!({ "action": "email_finder", "attempts": 100, "charged": 61, "credits": 305 });
    assert_eq!(usage["actions"], json!([email]));
    assert_eq!(usage["cycle"], json!({ "start": "2027-01-31", "end": "2027-02-28" }));
    assert_eq!(
        usage["credits"],
        json!({
            "spent": 305, "free_spent": 305, "purchased_spent": 0, "granted": 1_200,
            "purchased": 0, "gifted": 0, "expired": null,
        })
    );
    assert_eq!(usage["forecast"]["spent_in_a_week"], 305);
    // 895 credits at 305 in a week are twenty days and a half.
    assert_eq!(usage["forecast"]["lasts_until"], "2027-02-20");
    let of_cycle = api.usage("t", "?cycle=2027-01-31").await;
    assert_eq!(of_cycle, usage);
    assert_eq!(api.usage("t", "?list=true").await["cycles"], json!([usage["cycle"]]));
    let none = api.get(&member("t"), "/teams/t/usage?cycle=2026-12-31").await;
    none.problem(404, "/problems/not-found");
    for bad in ["?cycle=yesterday", "?cycle=2027-01-31&list=true", "?month=1"] {
        let refused = api.get(&member("t"), &format!("/teams/t/usage{bad}")).await;
        refused.problem(400, "/problems/invalid-request");
    }
}

/// Free credits first, seats and purchases among them; captures count while their hold is open.
#[tokio::test]
async fn what_paid_for_it() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 500).await.ok();
    let answer = api.hold("t", "job", &json!({ "credits": 100 })).await.ok();
    let hold = &answer["hold"]["id"];
    let capture =
        json!({ "action": "phone_finder", "outcome": "valid", "quantity": 2, "hold": hold });
    api.charge_by_pipeline("t", "capture", &capture).await.ok();
    api.email("much", "risky", 80).await;
    let credits = &api.usage("t", "").await["credits"];
    assert_eq!(credits["spent"], 440);
    assert_eq!([&credits["free_spent"], &credits["purchased_spent"]], [400, 40]);
    assert_eq!([&credits["granted"], &credits["purchased"]], [400, 500]);

    let release = format!("/teams/t/holds/{}/release", hold.as_str().unwrap());
    let released = api.send(reqwest::Method::POST, &release, &pipeline(), Some("end"), None).await;
    released.ok();
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 2 })).await;
    api.email("more", "risky", 20).await;
    let usage = api.usage("t", "").await;
    let credits = &usage["credits"];
    assert_eq!([&credits["spent"], &credits["granted"]], [540, 800]);
    assert_eq!([&credits["free_spent"], &credits["purchased_spent"]], [500, 40]);
    assert_eq!(usage["amount"], json!({ "cents": 500, "currency": "usd" }));
    assert_eq!(usage["actions"].as_array().unwrap().len(), 2);
    assert_eq!(api.split("t").await, (300, 460));
}

/// A statement is written once the relay has seen the end of its cycle; nothing is lost by when that is.
#[tokio::test]
async fn a_cycle_that_is_over_has_a_statement() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 500).await.ok();
    let gift = json!({ "credits": 20 });
    api.post(&crate::support::api::billing(), "/teams/t/gifts", "gift", &gift).await.ok();
    api.email("much", "risky", 84).await;
    api.travel("2027-02-28T00:00:00Z").await;
    api.email("in the next", "risky", 1).await;
    api.travel("2027-05-05T00:00:00Z").await;
    // Two cycles went by that nobody has seen.
    api.email("late", "risky", 2).await;
    api.get("", "/dev/events?after=0").await.ok();

    let first = api.usage("t", "?cycle=2027-01-31").await;
    assert_eq!(first["cycle"], json!({ "start": "2027-01-31", "end": "2027-02-28" }));
    assert_eq!(first["plan"], "multichannel_expert");
    assert_eq!(
        first["credits"],
        json!({
            "spent": 420, "free_spent": 400, "purchased_spent": 20, "granted": 400,
            "purchased": 500, "gifted": 20, "expired": 0,
        })
    );
    assert_eq!(first["amount"]["cents"], 500, "a gift has no price");
    let second = api.usage("t", "?cycle=2027-02-28").await;
    assert_eq!([&second["credits"]["spent"], &second["credits"]["expired"]], [5, 395]);
    let current = api.usage("t", "?cycle=2027-04-30").await;
    assert_eq!(
        [&current["credits"]["spent"], &current["credits"]["expired"]],
        [&json!(10), &Value::Null]
    );
    let starts: Vec<Value> = api.usage("t", "?list=true").await["cycles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cycle| cycle["start"].clone())
        .collect();
    assert_eq!(starts, ["2027-04-30", "2027-02-28", "2027-01-31"]);
    let missed = api.get(&member("t"), "/teams/t/usage?cycle=2027-03-31").await;
    missed.problem(404, "/problems/not-found");
    // What was found in the last cycle is expected in this one.
    assert_eq!(api.estimate(&["email_finder"]).await["hit_rates"], json!({ "email_finder": 1.0 }));
}

#[tokio::test]
async fn an_estimate_expects_what_came_before() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 4 })).await;
    let new = api.estimate(&["email_finder"]).await;
    assert_eq!([&new["maximum"], &new["expected"]], [500, 500]);
    assert_eq!(new["hit_rates"], json!({ "email_finder": null }));
    api.email("hits", "risky", 61).await;
    api.email("misses", "unverified", 39).await;
    let known = api.estimate(&["email_finder", "phone_finder"]).await;
    assert_eq!([&known["maximum"], &known["expected"]], [2_500, 1_525]);
    assert_eq!(known["hit_rates"], json!({ "email_finder": 0.61, "phone_finder": null }));
    assert_eq!([&known["balance"], &known["shortfall"]], [1_295, 1_205]);
}

#[tokio::test]
async fn settings() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let path = "/teams/t/settings";
    let chosen = api.get(&member("t"), path).await.ok();
    assert_eq!(chosen, json!({ "low_balance_threshold": 100, "auto_top_up": null }));
    let body = json!({
        "low_balance_threshold": 200,
        "auto_top_up": { "below": 500, "credits": 5_000, "monthly_limit": 20_000 },
    });
    let admin = crate::support::api::admin("t");
    assert_eq!(api.put(&admin, path, &body).await.ok(), body);
    assert_eq!(api.get(&member("t"), path).await.ok(), body);
    for (bad, field) in [
        (json!({ "low_balance_threshold": -1 }), "low_balance_threshold"),
        (json!({ "low_balance_threshold": 1_000_000_001 }), "low_balance_threshold"),
        (json!({ "threshold": 1 }), "threshold"),
        (json!({ "auto_top_up": { "below": 1, "credits": 500 } }), "auto_top_up.monthly_limit"),
        (json!({ "auto_top_up": [1, 500, 500] }), "auto_top_up"),
        (
            json!({ "auto_top_up": { "below": 1, "credits": 99, "monthly_limit": 500 } }),
            "auto_top_up.credits",
        ),
        (
            json!({ "auto_top_up": { "below": 0, "credits": 100, "monthly_limit": 500 } }),
            "auto_top_up.below",
        ),
        (
            json!({ "auto_top_up": { "below": 1, "credits": 500, "monthly_limit": 499 } }),
            "auto_top_up.monthly_limit",
        ),
    ] {
        let refused = api.put(&admin, path, &bad).await;
        let problem = refused.problem(400, "/problems/invalid-request");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(api.get(&member("t"), path).await.ok(), body, "nothing has changed");
    assert_eq!(api.put(&admin, path, &json!({})).await.ok(), chosen);
}
