//! The connection of an HTTP client.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::testing::{NOW, account, keyed};
use crate::{Faults, Simulated};

fn simulated(faults: Faults) -> Simulated {
    let simulated = Simulated::new(account(), || NOW);
    simulated.set_faults(faults);
    simulated
}

fn sent(method: &str, uri: &str, body: &str, key: &str) -> HttpRequest {
    let mut request = HttpRequest::new(SdkBody::from(body));
    request.set_method(method).unwrap();
    request.set_uri(uri.to_owned()).unwrap();
    request.headers_mut().insert("Authorization", "Bearer sk_test_1");
    if !key.is_empty() {
        request.headers_mut().insert("Idempotency-Key", key.to_owned());
    }
    request
}

fn create(key: &str) -> HttpRequest {
    let uri = "https://api.stripe.test/prefix/v1/customers";
    sent("POST", uri, "metadata[team]=t+1&name=%C3%84", key)
}

fn body(response: &HttpResponse) -> Value {
    serde_json::from_slice(response.body().bytes().unwrap()).unwrap()
}

fn customers(simulated: &Simulated) -> usize {
    simulated.account().customers.iter().count()
}

#[tokio::test(start_paused = true)]
async fn requests_are_read_and_answered() {
    let simulated = simulated(Faults::NONE);
    let connector = simulated.connector();
    let first = connector.call(create("k")).await.unwrap();
    assert_eq!(first.status().as_u16(), 200);
    assert_eq!(first.headers().get("content-type"), Some("application/json"));
    assert_eq!(first.headers().get("request-id"), Some("req_1"));
    assert_eq!(first.headers().get("idempotent-replayed"), None);
    assert_eq!(body(&first)["metadata"]["team"], "t 1");
    assert_eq!(body(&first)["name"], "Ä");
    let replay = connector.call(create("k")).await.unwrap();
    assert_eq!(replay.headers().get("idempotent-replayed"), Some("true"));
    let uri = "http://localhost/v1/customers/cus_1/payment_methods?type=card&limit=1";
    let read = connector.call(sent("GET", uri, "", "")).await.unwrap();
    assert_eq!(body(&read)["data"][0]["card"]["last4"], "4242");
    let mut unauthorized = create("");
    unauthorized.headers_mut().remove("authorization");
    assert_eq!(connector.call(unauthorized).await.unwrap().status().as_u16(), 401);
    let direct = simulated.answer(&keyed("j", "/v1/customers", &[]));
    assert_eq!(direct.body["id"], "cus_2");
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_has_no_effect_and_a_lost_answer_has_one() {
    for (faults, effects) in [
        (Faults { lost_request_percent: 100, ..Faults::NONE }, 0),
        (Faults { lost_answer_percent: 100, ..Faults::NONE }, 1),
    ] {
        let simulated = simulated(faults);
        let error = simulated.connector().call(create("k")).await.unwrap_err();
        assert!(error.is_io() || error.is_timeout(), "{error:?}");
        assert_eq!(customers(&simulated), effects);
        simulated.set_faults(Faults::NONE);
        let retried = simulated.connector().call(create("k")).await.unwrap();
        assert_eq!(body(&retried)["id"], "cus_1");
        assert_eq!(customers(&simulated), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn server_errors_are_stored_and_locks_are_not() {
    for (faults, status, effects, retried) in [
        (Faults { error_before_percent: 100, ..Faults::NONE }, 500, 0, 500),
        (Faults { error_after_percent: 100, ..Faults::NONE }, 500, 1, 500),
        (Faults { busy_percent: 100, ..Faults::NONE }, 429, 0, 200),
    ] {
        let simulated = simulated(faults);
        let answer = simulated.connector().call(create("k")).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{faults:?}");
        if status == 429 {
            assert_eq!(body(&answer)["error"]["code"], json!("lock_timeout"));
        }
        assert_eq!(customers(&simulated), effects);
        simulated.set_faults(Faults::NONE);
        let again = simulated.connector().call(create("k")).await.unwrap();
        assert_eq!(again.status().as_u16(), retried);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_executed_without_its_sender() {
    let simulated = simulated(Faults { latency_ms_max: 500, ..Faults::NONE });
    let call = simulated.connector().call(create("k"));
    drop(call);
    assert_eq!(customers(&simulated), 0);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(customers(&simulated), 1);
}

#[tokio::test(start_paused = true)]
async fn latency_is_in_virtual_time() {
    fastrand::seed(7);
    let simulated = simulated(Faults::NONE);
    let began = Instant::now();
    simulated.connector().call(create("")).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    simulated.set_faults(Faults { latency_ms_max: 200, ..Faults::NONE });
    simulated.connector().call(create("")).await.unwrap();
    let elapsed = began.elapsed();
    assert!(elapsed > Duration::ZERO && elapsed <= Duration::from_millis(402), "{elapsed:?}");
}
