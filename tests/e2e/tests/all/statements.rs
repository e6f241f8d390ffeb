//! Statements of finished cycles.

use serde_json::{Value, json};

use crate::support::api::{Api, member};

/// The relay writes the statement when it reads the end of the cycle, however late.
#[tokio::test]
async fn a_finished_cycle_has_a_statement() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.buy("t", "order", 500).await.ok();
    let gift = json!({ "credits": 20 });
    api.post(&crate::support::api::billing(), "/teams/t/gifts", "gift", &gift).await.ok();
    api.email("much", "risky", 84).await;
    api.travel("2027-02-28T00:00:00Z").await;
    api.email("in the next", "risky", 1).await;
    api.travel("2027-05-05T00:00:00Z").await;
    // Two cycles end without any request.
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
    // The hit rate of the last cycle is expected in this one.
    assert_eq!(api.estimate(&["email_finder"]).await["hit_rates"], json!({ "email_finder": 1.0 }));
}
