//! The Lambda function `charge`.

use lambda_http::{Error, lambda_runtime, service_fn, tracing};
use shared::bus::Bus;
use shared::http::App;

/// Where an environment answers several invocations at a time, as managed instances do, charges of
/// one team share writes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let (app, bus) = (App::from_env()?, Bus::from_env()?);
    lambda_runtime::run_concurrent(service_fn(move |event| {
        let (app, bus) = (app.clone(), bus.clone());
        async move { charge::handle(&app, &bus, event).await }
    }))
    .await
}
