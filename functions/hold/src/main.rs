//! The Lambda function `hold`.

use lambda_http::{Error, tracing};
use shared::http::{App, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    lambda_http::run(serve::outermost(hold::routes(App::from_env()?))).await
}
