//! Checkout sessions.

use serde_json::{Value, json};

use crate::testing::{NOW, account, object};
use crate::{Account, Outcome, PageKind, PageStatus};

const DAY: i64 = 86_400;
const PATH: &str = "/v1/checkout/sessions/cs_test_1";

fn done() -> Outcome {
    Outcome::Redirect("https://shop.test/done?s=cs_test_1".to_owned())
}

fn session(account: &mut Account) -> Value {
    account.get(PATH, &[]).body
}

fn methods(account: &mut Account) -> usize {
    let path = "/v1/customers/cus_1/payment_methods";
    account.get(path, &[]).body["data"].as_array().unwrap().len()
}

#[test]
fn a_session_is_paid_once() {
    let mut account = account();
    account.customer();
    let pairs = [("customer", "cus_1"), ("client_reference_id", "r"), ("metadata[purchase]", "p")];
    let created = account.checkout(&pairs);
    assert_eq!(
        (&created["status"], &created["payment_status"]),
        (&json!("open"), &json!("unpaid"))
    );
    assert_eq!(created["url"], "https://pay.test/p/cs_test_1");
    assert_eq!(
        (&created["payment_intent"], &created["amount_total"]),
        (&Value::Null, &json!(5000))
    );
    assert_eq!(created["expires_at"], NOW + DAY);
    assert_eq!(
        (&created["client_reference_id"], &created["metadata"]["purchase"]),
        (&json!("r"), &json!("p"))
    );
    let page = account.page("cs_test_1").unwrap();
    assert_eq!((page.kind, page.status), (PageKind::Payment, PageStatus::Open));
    assert_eq!((page.amount, page.description), (Some((5000, "usd".into())), "Credits".into()));
    assert_eq!(account.kinds(), [""; 0]);

    assert_eq!(account.pay("cs_test_1", "4242 4242 4242 4242", NOW), done());
    let paid = session(&mut account);
    assert_eq!((&paid["status"], &paid["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!((&paid["url"], &paid["payment_intent"]), (&Value::Null, &json!("pi_1")));
    let events = account.take_events();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed",
        ],
    );
    assert_eq!(object(&events[2])["metadata"]["team"], "t_1");
    assert_eq!(object(&events[3])["payment_status"], "paid");

    let again = account.pay("cs_test_1", "4242424242424242", NOW);
    assert_eq!(again, Outcome::Declined("This payment was already made.".to_owned()));
    let page = account.page("cs_test_1").unwrap();
    assert_eq!(page.return_url.unwrap(), "https://shop.test/done?s=cs_test_1");
    let intent = account.intents().next().unwrap();
    assert_eq!((intent.charge_attempts, intent.confirms), (1, 0));
    assert_eq!(methods(&mut account), 1);
}

#[test]
fn a_declined_session_stays_open_with_its_intent() {
    let mut account = account();
    account.checkout(&[]);
    let incorrect = account.pay("cs_test_1", "4242424242424241", NOW);
    assert_eq!(incorrect, Outcome::Declined("Your card number is incorrect.".to_owned()));
    assert_eq!(session(&mut account)["payment_intent"], Value::Null);
    let declined = account.pay("cs_test_1", "4000000000009995", NOW);
    assert_eq!(declined, Outcome::Declined("Your card has insufficient funds.".to_owned()));
    let after = session(&mut account);
    assert_eq!((&after["status"], &after["payment_intent"]), (&json!("open"), &json!("pi_1")));
    assert_eq!(account.kinds(), ["payment_intent.created", "payment_intent.payment_failed"]);
    assert_eq!(account.pay("cs_test_1", "5555555555554444", NOW), done());
    assert_eq!(account.intents().count(), 1);
    assert_eq!(account.intents().next().unwrap().charge_attempts, 2);
}

#[test]
fn a_card_is_stored_for_future_payments() {
    let mut account = account();
    account.customer();
    let save = ("payment_intent_data[setup_future_usage]", "off_session");
    account.checkout(&[("customer", "cus_1"), save]);
    account.pay("cs_test_1", "4000000000000002", NOW);
    assert_eq!(methods(&mut account), 1);
    account.pay("cs_test_1", "5555555555554444", NOW);
    let path = "/v1/customers/cus_1/payment_methods";
    let newest = account.get(path, &[("limit", "1")]).body;
    assert_eq!(newest["data"][0]["card"]["brand"], "mastercard");
    assert_eq!(newest["has_more"], true);
}

#[test]
fn the_step_of_a_session_is_on_the_page_of_its_intent() {
    let mut account = account();
    account.checkout(&[]);
    let step = Outcome::Authenticate("pi_1".to_owned());
    assert_eq!(account.pay("cs_test_1", "4000002500003155", NOW), step);
    assert_eq!(session(&mut account)["status"], "open");
    let page = account.page("pi_1").unwrap();
    assert_eq!((page.kind, page.description), (PageKind::Authentication, "Credits".to_owned()));
    assert!(matches!(account.authenticate("pi_1", false, NOW), Outcome::Declined(_)));
    let back = account.page("pi_1").unwrap().return_url.unwrap();
    assert_eq!(back, "https://pay.test/p/cs_test_1");
    assert_eq!(account.pay("cs_test_1", "4000002500003155", NOW), step);
    assert_eq!(account.authenticate("cs_test_1", true, NOW), done());
    assert_eq!(session(&mut account)["payment_status"], "paid");
    assert_eq!(account.kinds().last().unwrap(), "checkout.session.completed");
}

#[test]
fn a_session_expires_and_cancels_its_intent() {
    let mut account = account();
    account.checkout(&[]);
    account.pay("cs_test_1", "4000002500003155", NOW);
    account.take_events();
    account.advance(NOW + DAY - 1);
    assert_eq!(account.page("cs_test_1").unwrap().status, PageStatus::Open);
    let step = account.authenticate("pi_1", true, NOW + DAY);
    assert!(matches!(step, Outcome::Declined(_)), "{step:?}");
    assert_eq!(account.kinds(), ["checkout.session.expired", "payment_intent.canceled"]);
    account.checkout(&[]);
    account.advance(NOW + DAY + 5);
    assert_eq!(account.take_events()[0].created, NOW + DAY);
    let expired = session(&mut account);
    assert_eq!((&expired["status"], &expired["url"]), (&json!("expired"), &Value::Null));
    assert_eq!(account.intent("pi_1")["cancellation_reason"], "automatic");
    let late = account.pay("cs_test_1", "4242424242424242", NOW + DAY);
    assert_eq!(late, Outcome::Declined("This payment page has expired.".to_owned()));
    assert_eq!(account.page("cs_test_1").unwrap().status, PageStatus::Expired);
    assert_eq!(account.kinds(), [""; 0]);
}

#[test]
fn an_open_session_only_can_be_expired() {
    let mut account = account();
    account.checkout(&[]);
    let expire = format!("{PATH}/expire");
    assert_eq!(account.post(&expire, &[]).body["status"], "expired");
    assert_eq!(account.kinds(), ["checkout.session.expired"]);
    let again = account.post(&expire, &[]);
    assert_eq!(
        (again.status, &again.body["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    account.checkout(&[]);
    account.pay("cs_test_2", "4242424242424242", NOW);
    assert_eq!(account.post("/v1/checkout/sessions/cs_test_2/expire", &[]).status, 400);
    assert_eq!(account.intent("pi_1")["status"], "succeeded");
}

#[test]
fn the_intent_of_a_session_takes_no_requests() {
    let mut account = account();
    account.checkout(&[]);
    account.pay("cs_test_1", "4000000000000002", NOW);
    for act in ["confirm", "cancel"] {
        let answer = account.post(&format!("/v1/payment_intents/pi_1/{act}"), &[]);
        assert_eq!(answer.status, 400, "{act}");
    }
    assert_eq!(account.intent("pi_1")["status"], "requires_payment_method");
}

#[test]
fn a_session_expires_between_30_minutes_and_24_hours() {
    let mut account = account();
    for (life, status) in [(1_799, 400), (1_800, 200), (86_400, 200), (86_401, 400)] {
        let expires_at = (NOW + life).to_string();
        let pairs = [
            ("mode", "setup"),
            ("currency", "usd"),
            ("success_url", "https://shop.test/"),
            ("expires_at", &expires_at),
        ];
        assert_eq!(account.post("/v1/checkout/sessions", &pairs).status, status, "{life}");
    }
}

#[test]
fn the_customer_can_leave_and_return() {
    let mut account = account();
    account.checkout(&[]);
    let back = Outcome::Redirect("https://shop.test/back".to_owned());
    assert_eq!(account.leave("cs_test_1", NOW), back);
    assert_eq!(account.pay("cs_test_1", "4242424242424242", NOW), done());
    assert_eq!(account.leave("cs_test_2", NOW), Outcome::Unknown);
    assert_eq!(account.pay("cs_test_2", "4242424242424242", NOW), Outcome::Unknown);
}

#[test]
fn setup_mode_stores_a_card() {
    let mut account = account();
    account.customer();
    let pairs = [
        ("mode", "setup"),
        ("customer", "cus_1"),
        ("payment_method_types[]", "card"),
        ("success_url", "https://shop.test/done?s={CHECKOUT_SESSION_ID}"),
    ];
    let created = account.post("/v1/checkout/sessions", &pairs).body;
    assert_eq!(created["payment_status"], "no_payment_required");
    assert_eq!(
        (&created["amount_total"], &created["setup_intent"]),
        (&Value::Null, &json!("seti_1"))
    );
    assert_eq!(account.page("cs_test_1").unwrap().kind, PageKind::Setup);
    let declined = account.pay("cs_test_1", "4000000000000002", NOW);
    assert_eq!(declined, Outcome::Declined("Your card was declined.".to_owned()));
    let step = Outcome::Authenticate("cs_test_1".to_owned());
    assert_eq!(account.pay("cs_test_1", "4000002500003155", NOW), step);
    assert_eq!(account.page("cs_test_1").unwrap().kind, PageKind::Authentication);
    assert!(matches!(account.authenticate("cs_test_1", false, NOW), Outcome::Declined(_)));
    assert_eq!((methods(&mut account), account.kinds().len()), (1, 0));
    assert_eq!(account.page("cs_test_1").unwrap().kind, PageKind::Setup);
    assert_eq!(account.authenticate("cs_test_1", true, NOW), Outcome::Unknown);
    assert_eq!(account.pay("cs_test_1", "4000000000000341", NOW), done());
    assert_eq!(methods(&mut account), 2);
    assert_eq!(account.kinds(), ["checkout.session.completed"]);
    assert_eq!(session(&mut account)["status"], "complete");
    assert_eq!(account.intents().count(), 0);
}
