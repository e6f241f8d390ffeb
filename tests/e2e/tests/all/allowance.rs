//! The limit on requests of persons that cost their team nothing.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::lambda::allowance::FREE_REQUESTS_PER_MINUTE;

use crate::support::api::{Answer, Api, admin, member, pipeline};

const BATCH: &str = "/teams/t/charges/batch";

fn free(keys: std::ops::Range<u32>) -> Value {
    let charge = |key: u32| json!({ "key": format!("free {key}"), "action": "email_finder", "outcome": "not_found" });
    json!({ "charges": keys.map(charge).collect::<Vec<_>>() })
}

impl Api {
    async fn batch(&self, token: &str, charges: &Value) -> Answer {
        self.send(Method::POST, BATCH, token, None, Some(charges)).await
    }
}

#[tokio::test]
async fn limits_charges_of_0_credits_by_persons() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let most = FREE_REQUESTS_PER_MINUTE.get();
    let mut charges = free(0..most + 20);
    let paid = json!({ "key": "paid", "action": "sms" });
    charges["charges"].as_array_mut().unwrap().push(paid);
    let answer = api.batch(&member("t"), &charges).await;
    let results = answer.ok()["results"].as_array().unwrap().clone();
    let (first, last) = results.split_at(most as usize);
    assert!(first.iter().all(|result| result["status"] == "charged"));
    let (paid, refused) = last.split_last().unwrap();
    assert_eq!(paid["status"], "charged", "a charge of more than 0 credits is not limited");
    for result in refused {
        let problem = &result["problem"];
        assert_eq!((&problem["type"], &problem["status"]), (&json!("/problems/busy"), &json!(429)));
        assert_eq!(problem["retry_after"], 1);
    }
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["ratelimit"], "\"free-requests\";r=0;t=1");
    assert_eq!(answer.headers["ratelimit-policy"], "\"free-requests\";q=100;w=60");
    let nothing = json!({ "action": "email_finder", "outcome": "not_found" });
    let mut alone = api.charge("t", "alone 0", &nothing).await;
    for number in 1..10 {
        // The bucket may have gained a token meanwhile.
        if alone.status == 201 {
            alone = api.charge("t", &format!("alone {number}"), &nothing).await;
        }
    }
    alone.problem(429, "/problems/busy");
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert_eq!(alone.headers[name], answer.headers[name]);
    }
    let replay = api.charge("t", "free 0", &nothing).await;
    assert!(replay.is_replayed(), "{replay:?}");

    // Other members and admins have their own limits. Machine clients have none.
    api.post(&admin("t"), "/teams/t/charges", "alone", &nothing).await.ok();
    let many = api.batch(&pipeline(), &free(0..most * 2)).await.ok();
    assert!(many["results"].as_array().unwrap().iter().all(|it| it["status"] == "charged"));

    // The bucket fills in real time, not by the clock of the stack.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(api.charge("t", "alone", &nothing).await.status, 201);
}

#[tokio::test]
async fn limits_holds_by_persons() {
    let api = Api::start().await;
    api.team_with("t", 1_000).await;
    let hold = json!({ "credits": 1 });
    let mut statuses = Vec::new();
    for number in 0..FREE_REQUESTS_PER_MINUTE.get() + 20 {
        let answer = api.post(&member("t"), "/teams/t/holds", &format!("{number}"), &hold).await;
        statuses.push(answer.status);
    }
    assert!(statuses.starts_with(&[201; 100]), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(api.post(&member("t"), "/teams/t/holds", "0", &hold).await.is_replayed());
    for number in 0..FREE_REQUESTS_PER_MINUTE.get() + 20 {
        api.hold("t", &format!("{number}"), &hold).await.ok();
    }
}
