//! The Lambda function `refill`.

use lambda_runtime::{Error, service_fn};
use shared::lambda::{App, log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let app = App::from_env()?;
    Box::pin(lambda_runtime::run(service_fn(|event| refill::handle(&app, event)))).await
}
