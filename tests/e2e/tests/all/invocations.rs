//! Direct invocations of `charge` and messages of its queue.

use serde_json::{Value, json};

use crate::support::api::Api;

#[tokio::test]
async fn a_direct_invocation_is_validated() {
    let api = Api::start().await;
    let charge = async |event: Value| api.invoke("charge", &event).await.unwrap();
    for (event, kind) in [
        (json!({ "key": "k", "action": "sms" }), "/problems/invalid-request"),
        (json!({ "team": "demo", "action": "sms" }), "/problems/invalid-request"),
        (
            json!({ "team": "demo", "key": "k", "action": "sms", "colour": 1 }),
            "/problems/invalid-request",
        ),
        (
            json!({ "team": "demo", "key": "k", "action": "sms", "quantity": -1 }),
            "/problems/invalid-request",
        ),
        (json!({ "team": "unknown", "key": "k", "action": "sms" }), "/problems/not-found"),
        (
            json!({ "team": "demo", "key": "k", "action": "sms", "quantity": 100 }),
            "/problems/insufficient-credits",
        ),
        (json!(["sms"]), "/problems/invalid-request"),
    ] {
        let answer = charge(event.clone()).await;
        assert_eq!(answer["status"], "refused", "{event}");
        assert_eq!(answer["problem"]["type"], kind, "{event}");
    }
    assert_eq!(api.split("demo").await, (400, 0));
}

/// A queue reports exactly the messages that were not charged, so they are delivered again.
#[tokio::test]
async fn reports_the_queued_messages_that_failed() {
    let api = Api::start().await;
    let app = api.stack.app();
    api.team_with("t1", 20).await;
    api.team_with("t2", 0).await;
    let find = |team: &str, key: &str| json!({ "team": team, "key": key, "action": "email_finder", "outcome": "risky" });
    let bodies = [
        ("charged", find("t1", "a").to_string()),
        ("delivered twice", find("t1", "a").to_string()),
        ("another request", json!({ "team": "t1", "key": "a", "action": "sms" }).to_string()),
        ("without credits", find("t2", "a").to_string()),
        ("no JSON", "{".to_owned()),
        ("no key", json!({ "team": "t1", "action": "sms" }).to_string()),
        ("unknown", find("unknown", "a").to_string()),
        ("charged too", find("t1", "b").to_string()),
    ];
    let records =
        bodies.map(|(id, body)| json!({ "messageId": id, "body": body, "eventSource": "aws:sqs" }));
    let event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let response = charge::charge_queued(app, &api.stack.eventbridge().bus(), event).await.unwrap();
    let mut failed: Vec<_> = response
        .batch_item_failures
        .iter()
        .map(|failure| failure.item_identifier.as_str())
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, ["another request", "no JSON", "no key", "unknown", "without credits"]);
    assert_eq!((api.split("t1").await, api.split("t2").await), ((10, 0), (0, 0)));
    assert_eq!(api.history("t1").await.len(), 3, "the grant and two charges");
}

/// At the last delivery, a refusal goes to the dead-letter queue with its problem. It can be sent
/// again.
#[tokio::test]
async fn a_refused_message_goes_to_the_dead_letter_queue_with_its_problem() {
    let api = Api::start().await;
    api.team_with("t", 0).await;
    let bus = api.stack.eventbridge().bus();
    let charge = json!({ "team": "t", "key": "a", "action": "sms" });
    let deliver = async |body: String, deliveries: u64| {
        let attributes = json!({ "ApproximateReceiveCount": deliveries.to_string() });
        let record = json!({ "messageId": "1", "body": body, "attributes": attributes });
        let event = serde_json::from_value(json!({ "Records": [record] })).unwrap();
        let response = charge::charge_queued(api.stack.app(), &bus, event).await.unwrap();
        response.batch_item_failures.len()
    };
    let refused = || api.stack.eventbridge().delivered_from(charge::SOURCE);
    for deliveries in 1..charge::DELIVERIES_MAX {
        assert_eq!(deliver(charge.to_string(), deliveries).await, 1, "it is delivered again");
    }
    assert_eq!(refused().len(), 0);
    assert_eq!(deliver(charge.to_string(), charge::DELIVERIES_MAX).await, 0);
    let delivered = refused();
    assert_eq!((delivered.len(), &delivered[0]["detail-type"]), (1, &json!(charge::KIND)));
    let detail = &delivered[0]["detail"];
    assert_eq!((&detail["key"], &detail["team"]), (&json!("a"), &json!("t")));
    assert_eq!(detail["refused"]["type"], "/problems/insufficient-credits");
    assert_eq!(deliver("no JSON".to_owned(), charge::DELIVERIES_MAX).await, 0);
    let delivered = refused();
    assert_eq!(delivered[1]["detail"]["body"], "no JSON");
    assert_eq!(delivered[1]["detail"]["refused"]["type"], "/problems/invalid-request");
    // The message is sent again after the team has bought credits.
    api.buy("t", "order", 100).await.ok();
    assert_eq!(deliver(detail.to_string(), 1).await, 0);
    assert_eq!(api.split("t").await, (0, 94));
}
