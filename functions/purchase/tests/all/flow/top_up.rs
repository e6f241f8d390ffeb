//! Automatic top-ups, for which no customer is present.

use std::time::Duration;

use purchase::pending;
use serde_json::{Value, json};
use shared::domain::ids::Id;
use shared::domain::settings::{AutoTopUp, Settings};
use shared::domain::{Credits, Error};
use stripe::IntentStatus;
use tokio::time::sleep;

use crate::support::{Act, Shop, TEAM, in_shop};

/// Turns automatic top-ups of 5,000 credits on, and delivers an event that one is due.
async fn top_up(shop: &Shop) -> Value {
    turn_on(shop).await;
    repeat(shop).await
}

async fn turn_on(shop: &Shop) {
    let auto_top_up = AutoTopUp {
        below: Credits::new(1_000),
        credits: Credits::new(5_000),
        monthly_limit: Credits::new(50_000),
    };
    let settings = Settings { auto_top_up: Some(auto_top_up), ..Settings::default() };
    let store = shop.world.store();
    store.settings_change(&shop.team, &settings.into(), shop.world.now()).await.unwrap();
}

/// Delivers the event again.
async fn repeat(shop: &Shop) -> Value {
    deliver(shop).await.unwrap()["purchase"].clone()
}

async fn deliver(shop: &Shop) -> Result<Value, Error> {
    let id = Id::of("ev", &shop.team, "1");
    let event = json!({ "detail-type": "top-up.due", "detail": { "id": id, "team": shop.team } });
    purchase::top_up(&shop.state, event.to_string().as_bytes()).await
}

#[test]
fn a_top_up_charges_the_stored_card_once() {
    in_shop(TEAM, async |shop| {
        let paid = top_up(&shop).await;
        assert_eq!((paid["status"].as_str(), &paid["top_up"]), (Some("paid"), &json!(true)));
        assert_eq!(repeat(&shop).await, paid);
        assert_eq!((shop.credits().await, shop.attempts()), (5_000, 1));
    });
}

#[test]
fn a_top_up_without_a_card_fails() {
    in_shop("nocard-acme", async |shop| {
        let failed = top_up(&shop).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["reason"], "no card is stored for automatic payments");
        assert_eq!(failed.get("code"), None);
        assert_eq!(shop.account.account().intents().count(), 0);
        assert_eq!(repeat(&shop).await, failed);
        assert_eq!(shop.credits().await, 0);
    });
}

/// The bank refuses a payment without the card holder.
#[test]
fn a_top_up_that_needs_a_step_fails() {
    in_shop(TEAM, async |shop| {
        shop.store_card("4000002500003155").await;
        let failed = top_up(&shop).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert_eq!(failed["code"], "authentication_required");
        assert_eq!(failed.get("next_action"), None);
        assert_eq!((shop.credits().await, shop.taken()), (0, 0));
    });
}

/// Stripe answers with a page although no customer is present. The payment is cancelled, so it takes no money later.
#[test]
fn a_top_up_that_is_redirected_is_cancelled() {
    in_shop(TEAM, async |shop| {
        shop.store_card("4000002500003155").await;
        let account = shop.account.clone();
        let now = shop.second();
        shop.wire.play(move |seen| {
            if !seen.path().ends_with("/confirm") {
                return Act::Pass;
            }
            // As if the request had no `off_session`.
            let request = stripe::Request {
                method: "POST".to_owned(),
                path: seen.path().to_owned(),
                fields: vec![("return_url".to_owned(), "https://app.example".to_owned())],
                idempotency_key: None,
                secret_key: Some("sk_test_1".to_owned()),
            };
            let answer = account.account().answer(&request, now);
            Act::json(answer.status, &answer.body)
        });
        let failed = top_up(&shop).await;
        assert_eq!(
            (failed["status"].as_str(), failed["code"].as_str()),
            (Some("failed"), Some("authentication_required")),
            "{failed}"
        );
        let account = shop.account.account();
        let intents: Vec<_> = account.intents().collect();
        assert_eq!(intents[0].status, IntentStatus::Canceled);
    });
}

#[test]
fn a_declined_top_up_keeps_the_code_and_is_not_repeated() {
    in_shop(TEAM, async |shop| {
        shop.store_card("4000000000009995").await;
        let failed = top_up(&shop).await;
        assert_eq!(failed["code"], "insufficient_funds", "{failed}");
        assert_eq!(failed["reason"], "the card has insufficient funds");
        assert_eq!(repeat(&shop).await, failed);
        let other = Id::of("ev", &shop.team, "2");
        let event =
            json!({ "detail-type": "top-up.due", "detail": { "id": other, "team": shop.team } });
        let answer = purchase::top_up(&shop.state, event.to_string().as_bytes()).await.unwrap();
        assert_eq!(answer["purchase"], Value::Null, "until an admin puts the settings again");
        assert_eq!(shop.attempts(), 1);
    });
}

/// The process of a top-up stops before its payment is confirmed. No customer sends the request again.
#[test]
fn the_schedule_continues_a_top_up() {
    in_shop(TEAM, async |shop| {
        turn_on(&shop).await;
        shop.wire.play(
            |seen| {
                if seen.path().ends_with("/confirm") { Act::Break } else { Act::Pass }
            },
        );
        let stopped = deliver(&shop).await;
        assert!(matches!(stopped, Err(Error::Busy)), "{stopped:?}");
        shop.wire.play(|_| Act::Pass);
        sleep(Duration::from_mins(6)).await;
        let done = pending::run(&shop.state, None).await;
        assert_eq!((done.paid, done.errors), (1, 0), "{done:?}");
        assert_eq!((shop.credits().await, shop.attempts()), (5_000, 1));
    });
}
