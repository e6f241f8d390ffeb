//! Billing messages over EventBridge, in any order and repeated.

use lambda_http::{Context, LambdaEvent};
use serde_json::{Value, json};
use shared::lambda::App;

use crate::support::api::{Api, billing, member};
use crate::support::template::router;

/// Delivers a message. Returns the answer or the error as Lambda receives it.
async fn send_message(app: &App, kind: &str, detail: &Value) -> Result<Value, Value> {
    let event = json!({
        "version": "0", "id": "7b1f", "detail-type": kind, "source": "billing", "account": "123456789012",
        "time": "2027-01-31T10:00:00Z", "region": "eu-west-1", "resources": [], "detail": detail,
    });
    let payload = serde_json::value::to_raw_value(&event).unwrap();
    let event = LambdaEvent::new(payload, Context::default());
    let answer = team::handle(&router("team", app.clone()), app, event).await;
    let read = |text: &str| serde_json::from_str(text).unwrap();
    answer.map(|answer| read(answer.get())).map_err(|error| read(&error.to_string()))
}

type Message = (&'static str, Value);

fn changed(version: u64, plan: &str, seats: u32, started_at: &str) -> Message {
    let detail =
        json!({ "version": version, "plan": plan, "seats": seats, "started_at": started_at });
    ("subscription.changed", detail)
}

fn ended(kind: &'static str, version: u64) -> Message {
    (kind, json!({ "version": version }))
}

async fn deliver(app: &App, team: &str, (kind, detail): &Message) -> Result<Value, Value> {
    let mut detail = detail.clone();
    detail["team"] = json!(team);
    send_message(app, kind, &detail).await
}

fn permutations(messages: &[Message]) -> Vec<Vec<Message>> {
    let Some((first, rest)) = messages.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, first.clone());
            all.push(longer);
        }
    }
    all
}

/// Delivers each message twice.
async fn deliver_all(app: &App, team: &str, messages: &[Message]) {
    for message in messages.iter().flat_map(|message| [message, message]) {
        deliver(app, team, message).await.unwrap();
    }
}

/// The balance of a team and the sum of its ledger.
async fn standing(api: &Api, team: &str) -> (Value, i64) {
    let mut balance = api.balance(team).await;
    balance["team"] = Value::Null;
    let history = api.history(team).await;
    let free = history.iter().map(|entry| entry["credits"].as_i64().unwrap()).sum();
    (balance, free)
}

#[tokio::test]
async fn any_order_leads_to_the_same_state() {
    let api = Api::start().await;
    let app = api.stack.app();
    let (start, later) = ("2027-01-30T08:00:00Z", "2027-01-31T08:00:00Z");
    let seats = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "multichannel_expert", 2, start),
        ended("subscription.cancelled", 3),
        changed(4, "multichannel_expert", 3, start),
    ];
    let plans = [
        changed(10, "multichannel_expert", 2, start),
        ended("subscription.cancelled", 11),
        changed(12, "enterprise", 1, later),
    ];
    let cancelled_seats = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "multichannel_expert", 3, start),
        ended("subscription.cancelled", 3),
    ];
    let cancelled_plans = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "enterprise", 1, later),
        ended("subscription.cancelled", 3),
    ];
    // More seats than before and after: their credits stay until the next reset.
    let fewer_seats = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "multichannel_expert", 3, start),
        changed(3, "multichannel_expert", 2, start),
    ];
    for (case, messages, free, is_cancelled) in [
        ("fewer-seats", &fewer_seats[..], 1_200, false),
        ("seats", &seats[..], 1_200, false),
        ("plans", &plans[..], 400, false),
        ("cancelled-seats", &cancelled_seats[..], 1_200, true),
        ("cancelled-plans", &cancelled_plans[..], 400, true),
    ] {
        let mut first = None;
        for (number, order) in permutations(messages).into_iter().enumerate() {
            let team = format!("{case}-{number}");
            deliver_all(app, &team, &order).await;
            let stands = standing(&api, &team).await;
            assert_eq!((&stands.0["credits"]["free"], stands.1), (&json!(free), free), "{order:?}");
            assert_eq!(stands.0["cancelled"], is_cancelled, "{order:?}");
            assert_eq!(*first.get_or_insert(stands.clone()), stands, "{order:?}");
            if case.ends_with("seats") {
                let grants = api.history(&team).await.into_iter();
                let granted = grants.filter(|entry| entry["kind"] == "grant");
                let sum: i64 = granted.map(|grant| grant["credits"].as_i64().unwrap()).sum();
                assert_eq!(sum, free, "{order:?}");
            }
        }
    }
}

/// A subscription that starts later, between changes of the current one.
#[tokio::test]
async fn any_order_leads_to_the_same_scheduled_subscription() {
    let api = Api::start().await;
    let app = api.stack.app();
    let (start, later) = ("2027-01-30T08:00:00Z", "2027-02-15T00:00:00Z");
    let unnamed = |version: u64, seats: u32| -> Message {
        let detail = json!({ "version": version, "plan": "multichannel_expert", "seats": seats });
        ("subscription.changed", detail)
    };
    let kept = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "enterprise", 1, later),
        unnamed(3, 2),
    ];
    let replaced = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "free_trial", 1, later),
        changed(3, "multichannel_expert", 2, start),
    ];
    let moved = [
        changed(1, "multichannel_expert", 1, start),
        changed(2, "free_trial", 1, later),
        changed(3, "enterprise", 1, "2027-02-20T00:00:00Z"),
    ];
    let cases = [
        ("kept", &kept, [800, 400], "enterprise"),
        ("replaced", &replaced, [800, 800], "multichannel_expert"),
        ("moved", &moved, [400, 400], "enterprise"),
    ];
    let team = |case: &str, number: usize| format!("{case}-{number}");
    // A message without a start refers to the subscription of the first message and follows it.
    let orders = |messages: &[Message]| -> Vec<Vec<Message>> {
        let place = |order: &[Message], version: u64| {
            order.iter().position(|(_, detail)| detail["version"] == version)
        };
        let all = permutations(messages).into_iter();
        all.filter(|order| place(order, 1) < place(order, 3)).collect()
    };
    for (case, messages, [free, _], _) in cases {
        let mut first = None;
        for (number, order) in orders(messages).into_iter().enumerate() {
            deliver_all(app, &team(case, number), &order).await;
            let path = format!("/teams/{}/subscription", team(case, number));
            let mut shown = api.get(&billing(), &path).await.ok();
            shown["started_at"] = Value::Null;
            assert_eq!(*first.get_or_insert(shown.clone()), shown, "{order:?}");
            assert_eq!(api.split(&team(case, number)).await.0, free, "{order:?}");
        }
    }
    api.travel("2027-02-20T00:00:00Z").await;
    for (case, messages, [_, free], plan) in cases {
        for (number, order) in orders(messages).into_iter().enumerate() {
            let team = team(case, number);
            assert_eq!(api.balance(&team).await["plan"], plan, "{order:?}");
            assert_eq!(api.split(&team).await.0, free, "{order:?}");
        }
    }
}

/// A message that closes the account applies whatever its version.
#[tokio::test]
async fn an_old_message_closes_an_account() {
    let api = Api::start().await;
    let app = api.stack.app();
    deliver(app, "t", &changed(5, "email", 1, "2027-01-30T08:00:00Z")).await.unwrap();
    deliver(app, "t", &ended("account.closed", 3)).await.unwrap();
    assert_eq!(api.balance("t").await["account"], "closed");
}

/// Messages older than the closing are ignored; a newer one fails.
#[tokio::test]
async fn an_account_stays_closed_in_any_order() {
    let api = Api::start().await;
    let app = api.stack.app();
    let messages = [
        changed(1, "multichannel_expert", 1, "2027-01-30T08:00:00Z"),
        changed(2, "multichannel_expert", 2, "2027-01-30T08:00:00Z"),
        ended("account.closed", 3),
    ];
    for (number, order) in permutations(&messages).into_iter().enumerate() {
        let team = format!("closed-{number}");
        deliver_all(app, &team, &order).await;
        assert_eq!(api.balance(&team).await["account"], "closed", "{order:?}");
        let newer = changed(4, "email", 1, "2027-01-31T08:00:00Z");
        let refused = deliver(app, &team, &newer).await.unwrap_err();
        assert_eq!(refused["type"], "/problems/account-closed");
    }
}

#[tokio::test]
async fn ignores_an_old_message_after_a_newer_one() {
    let api = Api::start().await;
    let app = api.stack.app();
    let start = "2027-01-30T08:00:00Z";
    deliver(app, "t", &changed(5, "multichannel_expert", 3, start)).await.unwrap();
    let before = standing(&api, "t").await;
    for late in [
        changed(4, "multichannel_expert", 2, start),
        changed(5, "multichannel_expert", 9, start),
        changed(5, "enterprise", 1, "2027-01-31T08:00:00Z"),
        ended("subscription.cancelled", 2),
    ] {
        let answer = deliver(app, "t", &late).await.unwrap();
        assert_eq!((&answer["version"], &answer["subscription"]["seats"]), (&json!(5), &json!(3)));
        assert_eq!(standing(&api, "t").await, before, "{late:?}");
    }
}

#[tokio::test]
async fn fails_on_an_invalid_message_with_its_problem() {
    let api = Api::start().await;
    let app = api.stack.app();
    let invalid = "/problems/invalid-request";
    let too_large = 1_u64 << 63;
    for (kind, detail, problem, field) in [
        ("subscription.changed", json!({ "team": "t", "plan": "email" }), invalid, "version"),
        ("subscription.changed", json!({ "version": 1, "plan": "email" }), invalid, "team"),
        ("subscription.changed", json!({ "team": "t", "version": 1 }), invalid, "plan"),
        (
            "subscription.cancelled",
            json!({ "team": "t", "version": too_large }),
            invalid,
            "version",
        ),
        ("account.closed", json!({ "team": "t", "version": too_large }), invalid, "version"),
        (
            "subscription.changed",
            json!({ "team": "t", "version": 1, "plan": "gold" }),
            invalid,
            "plan",
        ),
        (
            "subscription.changed",
            json!({ "team": "t", "version": "1", "plan": "email" }),
            invalid,
            "version",
        ),
        (
            "subscription.changed",
            json!({ "team": "a#b", "version": 1, "plan": "email" }),
            invalid,
            "team",
        ),
        ("subscription.changed", json!("t"), invalid, "body"),
        ("subscription.cancelled", json!({ "team": "t" }), invalid, "version"),
        ("subscription.cancelled", json!({ "team": "t", "version": 1, "why": "" }), invalid, "why"),
        ("account.closed", json!({ "version": 1 }), invalid, "team"),
        ("account.opened", json!({ "team": "t", "version": 1 }), invalid, "detail-type"),
    ] {
        let error = send_message(app, kind, &detail).await.unwrap_err();
        assert_eq!(error["type"], problem, "{kind} {detail}");
        assert_eq!(error["errors"][0]["field"].as_str().unwrap_or_default(), field, "{error}");
    }
    api.get(&member("t"), "/teams/t/credits").await.problem(404, "/problems/not-found");
}

/// A cancellation that arrives first applies to the subscription that it cancels.
#[tokio::test]
async fn a_cancellation_may_arrive_before_its_subscription() {
    let api = Api::start().await;
    let app = api.stack.app();
    let early = ended("subscription.cancelled", 2);
    let answer = deliver(app, "t", &early).await.unwrap();
    assert_eq!((&answer["version"], &answer["subscription"]), (&json!(2), &Value::Null));
    api.travel("2027-02-10T00:00:00Z").await;
    let start = "2027-01-31T10:00:00Z";
    deliver(app, "t", &changed(1, "multichannel_expert", 1, start)).await.unwrap();
    assert_eq!(
        (api.split("t").await, &api.balance("t").await["cancelled"]),
        ((400, 0), &json!(true))
    );
    api.travel("2027-02-28T00:00:00Z").await;
    assert_eq!((api.split("t").await, &api.balance("t").await["plan"]), ((0, 0), &Value::Null));
    deliver(app, "t", &changed(1, "multichannel_expert", 1, start)).await.unwrap();
    assert_eq!(api.split("t").await, (0, 0));
}

/// Versions over HTTP. A request without a version always applies.
#[tokio::test]
async fn an_old_version_over_http_changes_nothing() {
    let api = Api::start().await;
    let seats = async |seats: u32, version: Option<u64>| {
        let body = json!({ "plan": "multichannel_expert", "seats": seats, "version": version });
        let answer = api.subscribe("t", &body).await;
        (answer["seats"].as_u64().unwrap(), answer["version"].as_u64())
    };
    let cancel = async |query: &str| {
        let path = format!("/teams/t/subscription{query}");
        let answer = api.delete(&billing(), &path).await.ok();
        (answer["cancelled"].as_bool().unwrap(), answer["version"].as_u64())
    };
    assert_eq!(seats(1, None).await, (1, None));
    assert_eq!(seats(3, Some(5)).await, (3, Some(5)));
    assert_eq!(seats(9, Some(5)).await, (3, Some(5)), "the present state");
    assert_eq!(seats(2, Some(4)).await, (3, Some(5)));
    assert_eq!(seats(2, None).await, (2, Some(5)));
    assert_eq!(cancel("?version=5").await, (false, Some(5)));
    let unknown = api.delete(&billing(), "/teams/unknown/subscription?version=1").await;
    unknown.problem(404, "/problems/not-found");
    assert_eq!(cancel("?version=6").await, (true, Some(6)));
    assert_eq!(seats(2, Some(6)).await, (2, Some(6)));
    assert_eq!(cancel("").await, (true, Some(6)));
    assert_eq!(api.split("t").await, (1_200, 0));
}
