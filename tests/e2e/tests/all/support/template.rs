//! `template.yaml` as the tests read it, and the functions that it names.

use axum::Router;
use local::purchase_state;
use serde_json::Map;
use shared::http::serve;
use shared::lambda::App;

/// The router of a function of the API.
pub fn router(function: &str, app: App) -> Router {
    serve::with_middleware(match function {
        "charge" => charge::routes(app),
        "purchase" => purchase::routes(purchase_state(app)),
        "balance" => balance::routes(app),
        "hold" => hold::routes(app),
        "team" => team::routes(app),
        other => panic!("{other} is not a function of the API"),
    })
}

/// The functions of the template with their paths, with values for the path parameters.
pub fn paths() -> Vec<(String, String)> {
    let template = engine::template().unwrap();
    let mut paths = Vec::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        for event in resource["Properties"]["Events"].as_object().into_iter().flat_map(Map::values)
        {
            if let Some(path) = event["Properties"]["Path"].as_str() {
                assert_eq!(
                    event["Properties"]["Method"], "ANY",
                    "{path}: the function answers other methods itself"
                );
                let path =
                    path.replace("{team}", "t").replace("{hold}", "h_1").replace("{id}", "p_1");
                paths.push((name.to_lowercase(), path.replace("{account}", "acme")));
            }
        }
    }
    paths
}
