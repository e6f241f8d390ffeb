//! The Lambda function `subscription`.

use lambda_http::{Error, tracing};
use shared::http::{App, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_http::run(serve::outermost(subscription::routes(App::from_env()?))).await
}
