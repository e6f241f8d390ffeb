//! Refills: cycles and the schedule.

use serde_json::json;

use crate::support::api::Api;

#[tokio::test]
async fn a_cycle_ends_on_its_first_day_of_month_or_the_last_day() {
    for (now, ends) in [
        ("2027-01-31", ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        ("2028-01-31", ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]),
    ] {
        let api = Api::start().await;
        api.travel(&format!("{now}T10:00:00Z")).await;
        api.subscribe("t", &json!({ "plan": "multichannel_expert", "seats": 2 })).await;
        for end in ends {
            let balance = api.balance("t").await;
            assert_eq!(balance["cycle"]["end"], end);
            assert_eq!(balance["next_refill"], end);
            api.charge("t", end, &json!({ "action": "sms" })).await.ok();
            api.travel(&format!("{end}T00:00:00Z")).await;
            assert_eq!(api.split("t").await, (800, 0));
        }
        api.assert_ledger("t").await;
    }
}

#[tokio::test]
async fn missed_cycles_bring_one_grant() {
    let api = Api::start().await;
    api.subscribe("t", &json!({ "plan": "multichannel_expert" })).await;
    api.travel("2027-09-15T00:00:00Z").await;
    assert_eq!(api.split("t").await, (400, 0));
    assert_eq!(
        api.balance("t").await["cycle"],
        json!({ "start": "2027-08-31", "end": "2027-09-30" })
    );
    let kinds: Vec<_> = api.history("t").await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "grant").count(), 2, "the first and one");
}

#[tokio::test]
async fn a_cycle_is_ended_once_by_schedule_or_charge() {
    let api = Api::start().await;
    api.subscribe("idle", &json!({ "plan": "multichannel_expert" })).await;
    api.subscribe("busy", &json!({ "plan": "multichannel_expert" })).await;
    api.travel("2027-02-28T00:00:00Z").await;
    api.charge("busy", "sms", &json!({ "action": "sms" })).await.ok();
    let run = api.run_upkeep().await;
    // The demo team is also due. The charge has ended the cycle of the busy team.
    assert_eq!(
        run,
        json!({ "changed": 2, "expired": 0, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    let again = api.run_upkeep().await;
    assert_eq!(
        again,
        json!({ "changed": 0, "expired": 0, "billed": 0, "paused": 0, "failed": 0, "left": false })
    );
    assert_eq!(api.split("busy").await, (394, 0));
    assert_eq!(api.split("idle").await, (400, 0));
    for team in ["idle", "busy"] {
        api.assert_ledger(team).await;
    }
}
