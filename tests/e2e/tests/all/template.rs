//! `template.yaml` sends every route to the function that has it.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use local::till;
use serde_json::Value;
use shared::domain::purchase::Limits;
use shared::http::{App, serve};
use tower::ServiceExt;

use crate::api::Api;
use crate::identity;

/// The functions of the template, each with its paths; parameters have got values.
fn paths() -> Vec<(String, String)> {
    let text = include_str!("../../../../template.yaml");
    // Only the tags of CloudFormation keep it from being plain YAML.
    let template: serde_norway::Value = serde_norway::from_str(text).unwrap();
    let template = serde_json::to_value(template).unwrap();
    let mut paths = Vec::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        for event in resource["Properties"]["Events"].as_object().into_iter().flat_map(Map::values)
        {
            if let Some(path) = event["Properties"]["Path"].as_str() {
                assert_eq!(event["Properties"]["Method"], "ANY", "{path}: the function says 405");
                let path =
                    path.replace("{team}", "t").replace("{hold}", "h_1").replace("{id}", "p_1");
                paths.push((name.to_lowercase(), path.replace("{account}", "acme")));
            }
        }
    }
    paths
}

type Map = serde_json::Map<String, Value>;

fn router(function: &str, app: App) -> Router {
    let limits = Limits::default();
    serve::outermost(match function {
        "charge" => charge::routes(app),
        "purchase" => purchase::routes(till(app, limits)),
        "balance" => balance::routes(app, limits),
        "hold" => hold::routes(app),
        "subscription" => subscription::routes(app, Limits::default()),
        other => panic!("{other} has routes that no test knows"),
    })
}

#[tokio::test]
async fn every_path_is_known_to_its_function() {
    let api = Api::start().await;
    let paths = paths();
    assert!(!paths.is_empty());
    for (function, path) in paths {
        let request = Request::patch(&path).body(Body::empty()).unwrap();
        let router = router(&function, api.stack.app().clone());
        assert_eq!(router.oneshot(request).await.unwrap().status(), 405, "{function} {path}");
    }
}

#[test]
fn every_route_is_in_the_template() {
    let there: BTreeSet<String> = paths().into_iter().map(|(_, path)| path).collect();
    for (method, path, _) in identity::routes() {
        assert!(there.contains(path), "{method} {path}");
    }
}
