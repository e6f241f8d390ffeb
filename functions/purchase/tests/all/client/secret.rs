//! The secret of the account by the secrets extension of Lambda. Its answers are scripted.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use purchase::stripe::{Secret, Secrets, Stripe};
use serde_json::json;
use shared::domain::Error;
use tokio::time::sleep;

use super::fixtures::{id, intent};
use crate::support::{Act, Wire};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:credits/stripe-AbCdEf";

const EXTENSION: &str = "http://localhost:2773";

/// The text of a secret.
fn text(api_key: &str) -> String {
    json!({ "api_key": api_key, "webhook_secrets": ["whsec_a", "whsec_b"] }).to_string()
}

/// The answer of the extension for a secret of Secrets Manager.
fn stored(text: &str) -> Act {
    Act::json(200, &json!({ "ARN": ARN, "Name": "credits/stripe", "SecretString": text }))
}

fn client_of(wire: &Wire, id: &str) -> Stripe {
    let secrets = Secrets::extension(id, "session-token".to_owned());
    Stripe::new(wire.connector(), secrets, "https://app.example")
}

/// A Stripe account that accepts one key, and an extension that has one. Both can change.
fn rotating(accepted: &Arc<Mutex<String>>, held: &Arc<Mutex<String>>) -> Wire {
    let (accepted, held) = (Arc::clone(accepted), Arc::clone(held));
    Wire::scripted(move |seen| {
        if seen.uri.starts_with(EXTENSION) {
            return stored(&text(&held.lock().unwrap()));
        }
        let key = format!("Bearer {}", accepted.lock().unwrap());
        if seen.header("authorization") == Some(&*key) {
            Act::json(200, &intent("processing"))
        } else {
            Act::error(401, "invalid_request_error")
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_asked_for_by_its_arn() {
    let wire = Wire::answering([stored(&text("sk_1"))]);
    let secrets = client_of(&wire, ARN).webhook_secrets().await.unwrap();
    assert_eq!(secrets, ["whsec_a", "whsec_b"]);
    let asked = wire.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "GET");
    let id = ARN.replace(':', "%3A").replace('/', "%2F");
    assert_eq!(asked[0].uri, format!("{EXTENSION}/secretsmanager/get?secretId={id}"));
    assert_eq!(asked[0].header("x-aws-parameters-secrets-token"), Some("session-token"));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_begins_with_a_slash_is_a_parameter() {
    let parameter = json!({ "Parameter": { "Name": "/credits/stripe", "Value": text("sk_1") } });
    let wire = Wire::answering([Act::json(200, &parameter)]);
    let secrets = client_of(&wire, "/credits/stripe").webhook_secrets().await.unwrap();
    assert_eq!(secrets, ["whsec_a", "whsec_b"]);
    let uri = "/systemsmanager/parameters/get?withDecryption=true&name=%2Fcredits%2Fstripe";
    let asked = wire.take();
    assert_eq!(asked[0].uri, format!("{EXTENSION}{uri}"));
    assert_eq!(asked[0].header("x-aws-parameters-secrets-token"), Some("session-token"));
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_read_again_after_five_minutes() {
    let wire = Wire::scripted(|_| stored(&text("sk_1")));
    let client = client_of(&wire, ARN);
    for (wait, reads) in [(0, 1), (299, 0), (1, 1), (1, 0)] {
        sleep(Duration::from_secs(wait)).await;
        // A clone of the client shares the secret.
        client.clone().webhook_secrets().await.unwrap();
        assert_eq!(wire.take().len(), reads, "after {wait} s more");
    }
}

/// A rotation needs no deployment.
#[tokio::test(start_paused = true)]
async fn a_refused_key_is_read_again_at_once() {
    let accepted = Arc::new(Mutex::new("sk_1".to_owned()));
    let held = Arc::new(Mutex::new("sk_1".to_owned()));
    let wire = rotating(&accepted, &held);
    let client = client_of(&wire, ARN);
    client.intent_read(&id("pi_1")).await.unwrap();
    assert_eq!(wire.take().len(), 2);

    for key in [&accepted, &held] {
        "sk_2".clone_into(&mut key.lock().unwrap());
    }
    assert!(client.intent_read(&id("pi_1")).await.unwrap().is_some());
    let sent = wire.take();
    let keys: Vec<_> = sent.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(keys, [Some("Bearer sk_1"), None, Some("Bearer sk_2")]);
    client.intent_read(&id("pi_1")).await.unwrap();
    assert_eq!(wire.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_that_is_still_stored_is_an_internal_error() {
    let accepted = Arc::new(Mutex::new("sk_2".to_owned()));
    let held = Arc::new(Mutex::new("sk_1".to_owned()));
    let wire = rotating(&accepted, &held);
    let client = client_of(&wire, ARN);
    for _ in 0..2 {
        let error = client.intent_read(&id("pi_1")).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("sk_1"), "{error:?}");
    }
    // The refused call is not sent again with the same key, and the next one reads the secret.
    let sent: Vec<usize> = wire.take().iter().map(|seen| seen.uri.len()).collect();
    let (stripe, extension) = (sent[1], sent[0]);
    assert_eq!(sent, [extension, stripe, extension, stripe, extension]);

    "sk_2".clone_into(&mut held.lock().unwrap());
    assert!(client.intent_read(&id("pi_1")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_error_of_an_invalid_secret_does_not_contain_it() {
    let invalid = [
        Act::Answer(200, r#""sk_hidden""#.to_owned()),
        Act::Answer(200, "sk_hidden".to_owned()),
        Act::json(200, &json!({ "SecretString": "sk_hidden" })),
        Act::json(200, &json!({ "SecretString": "\"sk_hidden\"" })),
        Act::json(200, &json!({ "SecretString": r#"{"sk_hidden":1}"# })),
        Act::json(200, &json!({ "SecretString": r#"{"api_key":{"sk_hidden":1}}"# })),
        Act::json(200, &json!({ "Parameter": { "Value": "sk_hidden" } })),
        Act::json(200, &json!({ "Parameter": "sk_hidden" })),
        Act::json(200, &json!({ "Name": "sk_hidden" })),
        Act::Answer(400, "sk_hidden".to_owned()),
        Act::Answer(500, "sk_hidden".to_owned()),
    ];
    for act in invalid {
        let wire = Wire::answering([act.clone()]);
        let error = client_of(&wire, ARN).webhook_secrets().await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{act:?}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{act:?}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_does_not_answer_is_named() {
    for act in [Act::Break, Act::Hang] {
        let wire = Wire::scripted(move |_| act.clone());
        let error = client_of(&wire, ARN).intent_read(&id("pi_1")).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        assert!(error.to_string().contains("extension"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn debug_output_contains_no_credential() {
    let secret = Secret { api_key: "sk_hidden".into(), webhook_secrets: vec!["hidden".into()] };
    assert_eq!(format!("{secret:?}"), "Secret");
    let fixed = Secrets::Fixed(Arc::new(secret));
    let wire = Wire::scripted(|_| stored(&text("sk_hidden")));
    let extension = Secrets::extension(ARN, "hidden".to_owned());
    let client = Stripe::new(wire.connector(), extension.clone(), "https://app.example");
    client.webhook_secrets().await.unwrap();
    for output in [format!("{fixed:?}"), format!("{extension:?}"), format!("{client:?}")] {
        assert!(!output.contains("hidden"), "{output}");
        assert!(!output.contains("whsec"), "{output}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_secret_a_call_is_refused_and_no_webhook_is_accepted() {
    let wire = Wire::answering([]);
    let client = Stripe::new(wire.connector(), Secrets::None, "https://app.example");
    assert!(matches!(client.check_connected(), Err(Error::PaymentFailed(_))));
    let read = client.intent_read(&id("pi_1")).await;
    assert!(matches!(read, Err(Error::PaymentFailed(_))), "{read:?}");
    assert_eq!(client.webhook_secrets().await.unwrap(), [""; 0]);
}

/// The extension is asked again after five minutes, not by every request.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_extension_does_not_stop_payments() {
    let wire = Wire::answering([stored(&text("sk_1"))]);
    let client = client_of(&wire, ARN);
    client.webhook_secrets().await.unwrap();
    wire.take();
    wire.play(|_| Act::Answer(500, String::new()));
    for (seconds, asked) in [(301, 1), (200, 0)] {
        sleep(Duration::from_secs(seconds)).await;
        assert_eq!(client.webhook_secrets().await.unwrap(), ["whsec_a", "whsec_b"]);
        assert_eq!(wire.take().len(), asked);
    }
}

/// White space would make an invalid header, or refuse every message.
#[tokio::test(start_paused = true)]
async fn a_secret_with_white_space_is_an_error() {
    let wire = Wire::scripted(|_| stored(&text("sk_1\n")));
    let error = client_of(&wire, ARN).webhook_secrets().await.unwrap_err();
    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    assert!(!error.to_string().contains("sk_1"), "{error}");
}
