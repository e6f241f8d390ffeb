//! Gifts.

use serde_json::json;

use crate::support::api::{Api, billing};

#[tokio::test]
async fn a_gift_stays_after_a_reset() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    let body = json!({ "credits": 70, "reference": "ticket_7" });
    let first = api.post(&billing(), "/teams/t/gifts", "g", &body).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.json()["gift"]["credits"], 70);
    let again = api.post(&billing(), "/teams/t/gifts", "g", &body).await;
    assert_eq!((again.status, again.is_replayed(), again.json()), (200, true, first.json()));
    api.travel("2027-03-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 70));
    api.assert_ledger("t").await;
}
