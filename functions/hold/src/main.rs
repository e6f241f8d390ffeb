//! The Lambda function `hold`.

use lambda_http::{Error, lambda_runtime, service_fn, tracing};
use shared::http::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let app = App::from_env()?;
    Box::pin(lambda_runtime::run(service_fn(|event| hold::handle(&app, event)))).await
}
