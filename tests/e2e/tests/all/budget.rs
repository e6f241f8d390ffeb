//! A crowd on one small budget.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::api::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_charges_on_a_budget_for_fifty() {
    let api = Api::start().await;
    api.team_with("t", 250).await;
    let body = json!({ "action": "email_finder", "outcome": "deliverable" });
    let keys: Vec<String> = (0..1_000).map(|n| format!("lead {n}")).collect();
    let answers = join_all(keys.iter().map(|key| api.charge("t", key, &body))).await;
    let (charged, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(charged.len(), 50);
    let (short, paused): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|answer| answer.status == 402);
    assert!(!short.is_empty());
    for short in short {
        let problem = short.problem(402, "/problems/insufficient-credits");
        assert_eq!(problem["required"], 5);
    }
    for paused in paused {
        paused.problem(409, "/problems/enrichment-paused");
    }
    assert_eq!(api.split("t").await, (0, 0));
    api.settles("t").await;
    assert_eq!(api.history("t").await.len(), 51, "the grant and fifty charges");
}
