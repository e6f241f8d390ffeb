//! The common parts of all answers: a request id, compression of large ones, and tags of the catalogue.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::api::{Api, answer, member, pipeline};
use crate::support::catalogue::catalogue_with;
use crate::support::gateway::Event;

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let api = Api::start().await;
    api.team_with("t", 100).await;
    let mut ids = Vec::new();
    for (token, path, status) in [
        (member("t"), "/teams/t/credits", 200),
        (member("t"), "/teams/t/credits?x=1", 400),
        (String::new(), "/teams/t/credits", 401),
        (member("o"), "/teams/t/credits", 403),
        (member("t"), "/teams/t/nothing", 404),
        (member("t"), "/teams/t/a%23b", 404),
        (member("t"), "/teams/t/charges", 405),
        (String::new(), "/prices", 200),
    ] {
        let answer = api.get(&token, path).await;
        assert_eq!(answer.status, status, "{path}");
        ids.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "{ids:?}");
    let event = Event::new(&Method::GET, "/teams/t/credits", Some(&member("t")));
    let deployed = api.request("balance", &event).await;
    assert_eq!(deployed.headers["x-request-id"], "request", "the id of API Gateway");
}

#[tokio::test]
async fn the_catalogue_and_the_contract_are_not_sent_again_to_a_client_that_has_them() {
    let api = Api::start().await;
    for path in ["/prices", "/plans", "/openapi.json", "/docs"] {
        let tag = api.get("", path).await.headers["etag"].to_str().unwrap().to_owned();
        let send = async |known: String| {
            let request = api.http.get(format!("{}{path}", api.stack.url()));
            answer(request.header("if-none-match", known)).await
        };
        for known in [tag.clone(), format!("\"a\", {tag}"), "*".to_owned()] {
            let unchanged = send(known).await;
            assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""), "{path}");
            assert_eq!(unchanged.headers["etag"], tag);
            assert_eq!(unchanged.headers["cache-control"], "public, max-age=300");
            assert_eq!(unchanged.headers["vary"], "Accept-Encoding, Origin");
        }
        let other = send("W/\"another\"".to_owned()).await;
        assert_eq!((other.status, &other.headers["etag"]), (200, &tag.parse().unwrap()));
    }
    let tags = ["/prices", "/plans"].map(|path| format!("{path}?at=2020-01-01"));
    let [prices, plans] = [api.get("", &tags[0]).await, api.get("", &tags[1]).await];
    assert_ne!(prices.headers["etag"], plans.headers["etag"]);
}

/// A cache keeps no price beyond the day on which another one is in force.
#[tokio::test]
async fn the_catalogue_is_cached_until_the_next_version() {
    let later = json!({ "version": "2", "effective": "2027-03-01", "actions": { "sms": { "credits": 7 } } });
    let api = Api::start_with(catalogue_with([later])).await;
    let age = async |path: &str| {
        let headers = api.get("", path).await.headers;
        headers["cache-control"]
            .to_str()
            .unwrap()
            .strip_prefix("public, max-age=")
            .unwrap()
            .to_owned()
    };
    assert_eq!(age("/prices").await, "300");
    api.travel("2027-02-28T23:58:30Z").await;
    assert_eq!([age("/prices").await, age("/plans").await], ["90", "90"]);
    assert_eq!(age("/prices?at=2027-02-28").await, "300");
    api.travel("2027-03-01T00:00:00Z").await;
    assert_eq!(age("/prices").await, "300");
}

#[tokio::test]
async fn large_answers_are_compressed_if_the_client_accepts_it() {
    let api = Api::start().await;
    api.team_with("t", 10_000).await;
    let charge = |key: usize| json!({ "key": format!("{key}"), "action": "sms" });
    let charges = json!({ "charges": (0..150).map(charge).collect::<Vec<_>>() });
    let path = "/teams/t/charges/batch";
    api.send(Method::POST, path, &pipeline(), None, Some(&charges)).await.ok();
    let asked = async |path: &str, encoding: Option<&str>, accept: &str| -> Value {
        let mut event = Event::new(&Method::GET, path, Some(&member("t")));
        event.0["headers"]["accept"] = json!(accept);
        if let Some(encoding) = encoding {
            event.0["headers"]["accept-encoding"] = json!(encoding);
        }
        api.invoke("balance", &event.0).await.unwrap()
    };
    for (path, accept) in [("/teams/t/history?limit=200", "*/*"), ("/teams/t/history", "text/csv")]
    {
        let plain = asked(path, None, accept).await;
        assert_eq!(plain["isBase64Encoded"], false);
        assert_eq!(plain["headers"].get("content-encoding"), None);
        let packed = asked(path, Some("br, gzip;q=0.5"), accept).await;
        assert_eq!(packed["headers"]["content-encoding"], "gzip", "{path}");
        assert_eq!(packed["headers"]["vary"], "accept-encoding", "{path}");
        assert_eq!(packed["isBase64Encoded"], true);
        let body = packed["body"].as_str().unwrap();
        assert!(body.len() * 2 < plain["body"].as_str().unwrap().len());
        let mut text = String::new();
        let bytes = STANDARD.decode(body).unwrap();
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(plain["body"], text, "{path}");
    }
    let small = asked("/teams/t/credits", Some("gzip"), "*/*").await;
    assert_eq!(small["headers"].get("content-encoding"), None);
}
