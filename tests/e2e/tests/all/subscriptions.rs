//! Subscriptions: plans, seats, cancellation, and later starts.

use serde_json::{Value, json};

use crate::support::api::{Api, NOW, admin, billing, member};

const PATH: &str = "/teams/t/subscription";
const START: &str = "2027-02-15T00:00:00.000Z";

fn later(seats: u32, start: &str) -> Value {
    json!({ "plan": "multichannel_expert", "seats": seats, "started_at": start })
}

async fn shown(api: &Api) -> Value {
    api.get(&member("t"), PATH).await.ok()
}

async fn free(api: &Api) -> u64 {
    api.split("t").await.0
}

#[tokio::test]
async fn a_future_start_is_stored_and_begins_then() {
    let api = Api::start().await;
    api.get(&member("t"), PATH).await.problem(404, "/problems/not-found");
    let answer = api.subscribe("t", &later(2, START)).await;
    assert_eq!((&answer["plan"], &answer["scheduled"]["seats"]), (&Value::Null, &json!(2)));
    let shown_now = shown(&api).await;
    assert_eq!(shown_now["scheduled"]["started_at"], START);
    let balance = api.balance("t").await;
    assert_eq!((&balance["plan"], &balance["credits"]["total"]), (&Value::Null, &json!(0)));
    assert_eq!(balance["next_refill"], Value::Null);

    api.travel("2027-02-14T23:59:59.999Z").await;
    assert_eq!(free(&api).await, 0);
    api.travel(START).await;
    let begun = shown(&api).await;
    assert_eq!(
        (&begun["plan"], &begun["scheduled"]),
        (&json!("multichannel_expert"), &Value::Null)
    );
    assert_eq!((free(&api).await, &begun["next_refill"]), (800, &json!("2027-03-15")));
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn the_current_subscription_stays_until_a_scheduled_one_begins() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.subscribe("t", &json!({ "plan": "enterprise", "started_at": START })).await;
    assert_eq!(
        (free(&api).await, &shown(&api).await["plan"]),
        (400, &json!("multichannel_expert"))
    );
    // Seats and a cancellation change the current subscription.
    let seats = api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 3 })).await;
    assert_eq!((&seats["seats"], &seats["scheduled"]["plan"]), (&json!(3), &json!("enterprise")));
    assert_eq!(free(&api).await, 1_200);
    let cancelled = api.delete(&billing(), PATH).await.ok();
    assert_eq!(
        (&cancelled["cancelled"], &cancelled["scheduled"]["seats"]),
        (&json!(true), &json!(1))
    );

    api.travel(START).await;
    let begun = shown(&api).await;
    assert_eq!((&begun["plan"], &begun["cancelled"]), (&json!("enterprise"), &json!(false)));
    assert_eq!(free(&api).await, 400, "the free credits of the old plan expire");
    api.assert_ledger("t").await;
}

/// The old cycle ends before the scheduled start without any request.
#[tokio::test]
async fn a_scheduled_start_after_a_missed_renewal_is_one_grant() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.subscribe("t", &later(2, "2027-04-10T00:00:00Z")).await;
    api.travel("2027-06-20T00:00:00Z").await;
    let balance = api.balance("t").await;
    assert_eq!((free(&api).await, &balance["cycle"]["start"]), (800, &json!("2027-06-10")));
    let history = api.history("t").await;
    let grants = history.iter().filter(|entry| entry["kind"] == "grant").count();
    assert_eq!(grants, 2, "{history:?}");
    let expiry = history.iter().find(|entry| entry["kind"] == "expiry").unwrap();
    assert_eq!(
        expiry["at"], "2027-02-28T00:00:00.000Z",
        "the free credits expire with their cycle"
    );
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn a_later_start_replaces_the_scheduled_one() {
    let api = Api::start().await;
    api.subscribe("t", &later(2, START)).await;
    api.subscribe("t", &later(3, "2027-02-20T00:00:00Z")).await;
    assert_eq!(shown(&api).await["scheduled"]["seats"], 3);
    // Another plan without a start begins now, and the scheduled one stays.
    let now = api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!((&now["plan"], &now["scheduled"]["seats"]), (&json!("free_trial"), &json!(3)));
    let replaced = api.subscribe("t", &json!({ "plan": "enterprise", "started_at": NOW })).await;
    assert_eq!((&replaced["plan"], &replaced["scheduled"]), (&json!("enterprise"), &Value::Null));
    api.travel("2027-02-21T00:00:00Z").await;
    assert_eq!((free(&api).await, &shown(&api).await["plan"]), (400, &json!("enterprise")));
}

#[tokio::test]
async fn a_start_within_five_minutes_is_now() {
    let api = Api::start().await;
    let begun = api.subscribe("t", &later(1, "2027-01-31T10:05:00Z")).await;
    assert_eq!(
        (&begun["plan"], &begun["scheduled"]),
        (&json!("multichannel_expert"), &Value::Null)
    );
    let stored = api.subscribe("t", &later(1, "2027-01-31T10:05:00.001Z")).await;
    assert_eq!(stored["scheduled"]["seats"], 1);
}

#[tokio::test]
async fn closing_drops_the_scheduled_subscription() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "enterprise" })).await;
    api.subscribe("t", &later(2, START)).await;
    api.delete(&billing(), "/teams/t?confirm=t").await.ok();
    api.travel(START).await;
    let balance = api.balance("t").await;
    assert_eq!((&balance["account"], &balance["plan"]), (&json!("closed"), &json!("enterprise")));
    assert_eq!(shown(&api).await["scheduled"], Value::Null);
}

#[tokio::test]
async fn refuses_charges_before_a_later_plan_begins_without_credits() {
    let api = Api::start().await;
    api.subscribe("t", &later(1, START)).await;
    let sms = json!({ "action": "sms" });
    let refused = api.charge("t", "k", &sms).await.problem(402, "/problems/insufficient-credits");
    assert_eq!((&refused["balance"], &refused["required"]), (&json!(0), &json!(6)));
    api.buy("t", "order", 100).await.ok();
    assert_eq!(api.charge("t", "k", &sms).await.status, 201);
    api.travel(START).await;
    assert_eq!(api.split("t").await, (400, 94));
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn an_unknown_plan_is_refused_now_or_later() {
    let api = Api::start().await;
    for body in [json!({ "plan": "gold" }), json!({ "plan": "gold", "started_at": START })] {
        let refused =
            api.put(&billing(), PATH, &body).await.problem(400, "/problems/invalid-request");
        assert_eq!(refused["errors"][0]["field"], "plan");
    }
    api.get(&admin("t"), "/teams/t/credits").await.problem(404, "/problems/not-found");
}

#[tokio::test]
async fn puts_a_subscription() {
    let api = Api::start().await;
    let body = json!({
        "plan": "multichannel_expert", "seats": 3, "started_at": "2027-01-03T00:00:00Z",
        "account_created_at": "2024-02-01T00:00:00Z", "included_credits": null,
    });
    let first = api.subscribe("t", &body).await;
    assert_eq!(first["plan"], "multichannel_expert");
    assert_eq!(first["seats"], 3);
    assert_eq!(first["started_at"], "2027-01-03T00:00:00.000Z");
    assert_eq!(first["cycle"], json!({ "start": "2027-01-03", "end": "2027-02-03" }));
    assert_eq!(first["next_refill"], "2027-02-03");
    assert_eq!(api.subscribe("t", &body).await, first, "the same again changes nothing");
    assert_eq!(api.history("t").await.len(), 1);
    let cancelled = api.delete(&billing(), "/teams/t/subscription").await.ok();
    assert_eq!((&cancelled["cancelled"], &cancelled["next_refill"]), (&json!(true), &json!(null)));
    assert_eq!(
        api.subscribe("t", &body).await,
        first,
        "a subscription can be renewed after its cancellation"
    );
    assert_eq!(api.history("t").await.len(), 1);
}

#[tokio::test]
async fn seats_plans_cancellation_and_closing_change_the_credits() {
    let api = Api::start().await;
    let expert = |seats: u64| json!({ "plan": "multichannel_expert", "seats": seats });
    api.subscribe("t", &expert(1)).await;
    api.buy("t", "order", 100).await.ok();
    assert_eq!(api.split("t").await, (400, 100));
    api.subscribe("t", &expert(3)).await;
    assert_eq!(api.split("t").await, (1_200, 100), "an added seat is granted at once");
    api.subscribe("t", &expert(1)).await;
    api.subscribe("t", &expert(3)).await;
    assert_eq!(api.split("t").await, (1_200, 100), "a seat is granted once in a cycle");
    api.subscribe("t", &expert(1)).await;
    assert_eq!(
        api.split("t").await,
        (1_200, 100),
        "a removed seat changes nothing before the reset"
    );
    api.travel("2027-02-28T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 100), "the reset grants one seat");

    api.subscribe("t", &json!({ "plan": "free_trial" })).await;
    assert_eq!(api.split("t").await, (200, 100), "a change of plan replaces the free credits");
    assert_eq!(api.balance("t").await["next_refill"], json!(null));
    api.travel("2027-06-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (200, 100), "a one-time grant stays, and is not repeated");

    api.subscribe("t", &expert(1)).await;
    api.delete(&billing(), "/teams/t/subscription").await.ok();
    assert_eq!(api.split("t").await, (400, 100), "a cancelled plan continues until its cycle ends");
    api.travel("2027-07-01T00:00:00Z").await;
    assert_eq!(api.split("t").await, (0, 100), "free credits expire and purchased ones stay");
    assert_eq!(api.balance("t").await["plan"], json!(null));
    api.subscribe("t", &expert(1)).await;
    assert_eq!(api.split("t").await, (400, 100), "a new subscription grants credits again");
    api.assert_ledger("t").await;

    assert_eq!(api.delete(&billing(), "/teams/t?confirm=t").await.ok()["account"], "closed");
    assert_eq!(api.balance("t").await["account"], "closed");
    api.charge("t", "late", &json!({ "action": "sms" }))
        .await
        .problem(409, "/problems/account-closed");
    api.buy("t", "late order", 100).await.problem(409, "/problems/account-closed");
    let gift = api.post(&billing(), "/teams/t/gifts", "late gift", &json!({ "credits": 1 })).await;
    gift.problem(409, "/problems/account-closed");
    let again = api.put(&billing(), "/teams/t/subscription", &expert(1)).await;
    again.problem(409, "/problems/account-closed");
}

#[tokio::test]
async fn an_agreed_grant_is_not_multiplied_by_seats() {
    let api = Api::start().await;
    let started = api
        .subscribe("t", &json!({ "plan": "enterprise", "included_credits": 7_000, "started_at": "2026-12-24T00:00:00Z" }))
        .await;
    assert_eq!(started["included_credits"], 7_000);
    assert_eq!(
        api.balance("t").await["cycle"],
        json!({ "start": "2027-01-24", "end": "2027-02-24" })
    );
    assert_eq!(api.split("t").await, (7_000, 0));
    api.subscribe("t", &json!({ "plan": "enterprise", "seats": 9 })).await;
    assert_eq!(api.split("t").await, (7_000, 0), "its grant is for the team, not for a seat");
}
