//! The Lambda function `purchase`.

use std::sync::Arc;

use lambda_http::{Error, tracing};
use purchase::payments::NotConnected;
use shared::http::{App, app::purchase_limits, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let routes = purchase::routes(App::from_env()?, purchase_limits()?, Arc::new(NotConnected));
    lambda_http::run(serve::outermost(routes)).await
}
