//! The Lambda function `relay`.

use lambda_runtime::{Error, service_fn, tracing};
use shared::bus::Bus;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let bus = Bus::from_env()?;
    Box::pin(lambda_runtime::run(service_fn(|batch| relay::handle(&bus, batch)))).await
}
