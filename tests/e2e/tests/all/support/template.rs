//! `template.yaml` as the tests read it, and the functions that it names.

use std::collections::BTreeSet;

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
        "panel" => panel::routes().merge(panel::known_paths().unwrap()),
        other => panic!("{other} is not a function of the API"),
    })
}

/// A route of the template.
pub struct TemplateRoute {
    pub function: String,
    pub method: String,
    /// The path, with values for its parameters.
    pub path: String,
    pub has_authorizer: bool,
}

/// The routes of the template, without `$default`.
pub fn template_routes() -> Vec<TemplateRoute> {
    let template = engine::template().unwrap();
    let mut routes = Vec::new();
    for (name, resource) in template["Resources"].as_object().unwrap() {
        for event in resource["Properties"]["Events"].as_object().into_iter().flat_map(Map::values)
        {
            let properties = &event["Properties"];
            if let Some(path) = properties["Path"].as_str() {
                let path = path.replace("{team}", "t").replace("{hold}", "h_1");
                routes.push(TemplateRoute {
                    function: name.to_lowercase(),
                    method: properties["Method"].as_str().unwrap().to_owned(),
                    path: path
                        .replace("{id}", "p_1")
                        .replace("{account}", "acme")
                        .replace("{type}", "busy"),
                    has_authorizer: properties["Auth"]["Authorizer"] != "NONE",
                });
            }
        }
    }
    routes
}

/// The functions of the template with their paths.
pub fn paths() -> BTreeSet<(String, String)> {
    template_routes().into_iter().map(|route| (route.function, route.path)).collect()
}
