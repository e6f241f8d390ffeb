//! The Lambda function `charge`.

use lambda_http::{Error, lambda_runtime, service_fn};
use shared::bus::Bus;
use shared::http::serve;
use shared::lambda::{App, log};

/// An environment may handle several invocations at a time (Lambda Managed Instances). Concurrent charges
/// of one team then share writes.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let (app, bus) = (App::from_env()?, Bus::from_env()?);
    let router = serve::with_middleware(charge::routes(app.clone()));
    lambda_runtime::run_concurrent(service_fn(move |event| {
        let (router, app, bus) = (router.clone(), app.clone(), bus.clone());
        async move { charge::handle(&router, &app, &bus, event).await }
    }))
    .await
}
