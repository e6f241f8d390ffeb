//! The Lambda function `subscription`.

use lambda_http::{Error, tracing};
use shared::http::{App, app::purchase_limits, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let routes = subscription::routes(App::from_env()?, purchase_limits()?);
    lambda_http::run(serve::outermost(routes)).await
}
