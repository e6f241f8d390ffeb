//! The Lambda function `refill`.

use lambda_runtime::{Error, service_fn, tracing};
use shared::lambda::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let app = App::from_env()?;
    Box::pin(lambda_runtime::run(service_fn(|event| refill::handle(&app, event)))).await
}
