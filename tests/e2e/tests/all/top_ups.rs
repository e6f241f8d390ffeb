//! Automatic top-ups: one for each crossing of the threshold, within the monthly limit, and none
//! after a declined card.

use serde_json::{Value, json};

use crate::support::api::{Answer, Api, admin, member};

/// Below 500 credits, `credits` are bought, at most 600 in a month.
fn chosen(credits: u32) -> Value {
    json!({ "below": 500, "credits": credits, "monthly_limit": 600 })
}

impl Api {
    async fn choose(&self, top_up: &Value) -> Answer {
        let settings = json!({ "low_balance_threshold": 0, "auto_top_up": top_up });
        self.put(&admin("t"), "/teams/t/settings", &settings).await
    }

    /// Charges `credits`, and waits for the effects.
    async fn spend(&self, key: &str, credits: u32) {
        let find =
            json!({ "action": "linkedin_enrichment", "outcome": "found", "quantity": credits });
        self.charge("t", key, &find).await.ok();
        self.events_of("").await;
    }

    /// The events of a kind so far, after all effects of earlier requests.
    async fn events_of(&self, kind: &str) -> Vec<Value> {
        let answer = self.get("", "/dev/events").await.ok();
        assert_eq!(answer["given_up"], json!([]));
        let events = answer["events"].as_array().unwrap().iter();
        let of_kind =
            events.filter(|event| event["detail-type"] == kind && event["detail"]["team"] == "t");
        of_kind.map(|event| event["detail"].clone()).collect()
    }

    async fn total(&self) -> u64 {
        self.balance("t").await["credits"]["total"].as_u64().unwrap()
    }

    async fn state(&self) -> Value {
        self.balance("t").await["auto_top_up"].clone()
    }
}

#[tokio::test]
async fn one_top_up_for_each_crossing() {
    let api = Api::start().await;
    api.team_with("t", 600).await;
    assert_eq!(api.state().await, "off", "by default");
    api.choose(&chosen(200)).await.ok();
    api.spend("a", 100).await;
    assert_eq!((api.total().await, api.state().await), (500, json!("on")));
    api.spend("b", 1).await;
    assert_eq!(api.split("t").await, (499, 200), "a top-up is purchased credits");

    let [due] = <[Value; 1]>::try_from(api.events_of("top-up.due").await).unwrap();
    assert_eq!(
        (&due["credits"], &due["below"], &due["top_up"]),
        (&json!(499), &json!(500), &json!(200))
    );
    let [paid] = <[Value; 1]>::try_from(api.events_of("credits.purchased").await).unwrap();
    assert_eq!(
        (&paid["credits"], &paid["top_up"], &paid["user"]),
        (&json!(200), &json!(true), &Value::Null)
    );
    assert_eq!(paid["key"], due["id"], "the key of the purchase is the id of the event");
    let path = format!("/teams/t/purchases/{}", paid["purchase"].as_str().unwrap());
    let purchase = api.get(&member("t"), &path).await.ok();
    assert_eq!(
        (&purchase["purchase"]["status"], &purchase["purchase"]["top_up"]),
        (&json!("paid"), &json!(true))
    );
    let history = api.history("t").await;
    let entry = history.iter().find(|entry| entry["kind"] == "purchase").unwrap();
    assert_eq!((&entry["credits"], &entry["top_up"]), (&json!(200), &json!(true)));

    api.spend("c", 199).await;
    assert_eq!(api.total().await, 500);
    api.spend("d", 300).await;
    assert_eq!(api.total().await, 400, "a second crossing, although the balance stays below");
    api.spend("e", 10).await;
    assert_eq!(api.total().await, 390, "no crossing");
    assert_eq!(api.events_of("top-up.due").await.len(), 2);
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn respects_the_monthly_limit() {
    let api = Api::start().await;
    api.team_with("t", 501).await;
    api.choose(&chosen(200)).await.ok();
    // Charges until 499 credits are left.
    let fall = async |key: &str| {
        let total = u32::try_from(api.total().await).unwrap();
        api.spend(key, total - 499).await;
    };
    for key in ["a", "b", "c"] {
        fall(key).await;
        assert_eq!(api.total().await, 699, "{key}");
    }
    fall("d").await;
    assert_eq!((api.total().await, api.state().await), (499, json!("on")), "600 were bought");
    api.buy("t", "by hand", 300).await.ok();
    assert_eq!(api.total().await, 799, "the limit does not apply to other purchases");
    api.travel("2027-02-01T00:00:00Z").await;
    fall("e").await;
    assert_eq!(api.total().await, 699, "another month");
    assert_eq!(api.events_of("top-up.due").await.len(), 5);
    assert_eq!(api.events_of("purchase.failed").await.len(), 0);
    api.assert_ledger("t").await;
}

#[tokio::test]
async fn a_declined_card_is_charged_once_until_the_settings_change() {
    let api = Api::start().await;
    api.team_with("t", 600).await;
    api.choose(&chosen(402)).await.ok();
    api.spend("a", 101).await;
    let [failed] = <[Value; 1]>::try_from(api.events_of("purchase.failed").await).unwrap();
    assert_eq!(
        (&failed["reason"], &failed["top_up"]),
        (&json!("the card was declined; use another card or contact the bank"), &json!(true))
    );
    assert_eq!((api.total().await, api.state().await), (499, json!("failed")));

    api.buy("t", "more", 1_000).await.ok();
    api.spend("b", 1_200).await;
    assert_eq!(
        api.events_of("top-up.due").await.len(),
        1,
        "a second crossing, with unchanged settings"
    );

    api.choose(&chosen(402)).await.ok();
    assert_eq!(api.events_of("purchase.failed").await.len(), 2, "the card is declined again");
    assert_eq!(api.state().await, "failed");
    api.choose(&chosen(600)).await.ok();
    assert_eq!(api.events_of("purchase.failed").await.len(), 2);
    assert_eq!(
        (api.total().await, api.state().await),
        (299 + 600, json!("on")),
        "a failed top-up does not count"
    );
    api.assert_ledger("t").await;
}

/// A step of the customer is not possible in an automatic top-up.
#[tokio::test]
async fn a_payment_that_needs_a_step_fails() {
    let api = Api::start().await;
    api.team_with("t", 400).await;
    api.choose(&chosen(202)).await.ok();
    assert_eq!(api.events_of("purchase.failed").await.len(), 1);
    assert_eq!((api.total().await, api.state().await), (400, json!("failed")));
}

#[tokio::test]
async fn enabling_it_below_the_threshold_makes_a_top_up() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let stands = async |top_up: &Value| {
        api.choose(top_up).await.ok();
        (api.events_of("top-up.due").await.len(), api.total().await)
    };
    assert_eq!(stands(&chosen(100)).await, (1, 200));
    assert_eq!(stands(&chosen(100)).await, (1, 200), "unchanged settings");
    assert_eq!(stands(&chosen(150)).await, (1, 200), "no crossing");
    assert_eq!(stands(&Value::Null).await, (1, 200));
    assert_eq!(api.state().await, "off");
    let limited = |limit: u32| json!({ "below": 500, "credits": 150, "monthly_limit": limit });
    assert_eq!(stands(&limited(150)).await, (2, 200), "100 of this month's 150 are bought");
    assert_eq!(stands(&limited(250)).await, (3, 350), "a higher limit allows another top-up");
    assert_eq!(stands(&limited(240)).await, (3, 350));
}

/// A hold also lowers the balance.
#[tokio::test]
async fn a_hold_causes_a_top_up() {
    let api = Api::start().await;
    api.team_with("t", 600).await;
    api.choose(&chosen(300)).await.ok();
    let hold = json!({ "credits": 200, "expires_in": 60 });
    api.post(&member("t"), "/teams/t/holds", "job", &hold).await.ok();
    assert_eq!(api.events_of("credits.purchased").await.len(), 1);
    assert_eq!(api.total().await, 700);
}
