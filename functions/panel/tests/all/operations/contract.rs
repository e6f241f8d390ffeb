//! The contract and the health check.

use shared::http::views::health::HealthView;

use crate::operation::{Body, Callers, Operation, shape};

pub fn contract() -> Vec<Operation> {
    vec![
        Operation::get("/openapi.json", "readContract", Callers::Anyone)
            .summary("Read this document")
            .cacheable("The OpenAPI document.", Body::Object),
        Operation::get("/docs", "readDocs", Callers::Anyone)
            .summary("Read the reference page")
            .cacheable("The page.", Body::Html),
        Operation::get("/problems/{type}", "readProblemType", Callers::Anyone)
            .summary("Find a problem type")
            .answer_with(303, "The section of the reference page.", &["Location"], Body::None)
            .problems(&["not-found"]),
        Operation::get("/health", "readHealth", Callers::Anyone)
            .summary("Check the API")
            .remark("Answers if API Gateway and a function run. It reads no table.")
            .answer(200, "The API answers.", Body::Json(shape::<HealthView>())),
    ]
}
