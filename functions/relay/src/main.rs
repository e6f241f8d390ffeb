//! The Lambda function `relay`.

use lambda_runtime::{Error, service_fn};
use shared::bus::Bus;
use shared::lambda::log;
use shared::store::Store;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let (store, bus) = (Store::from_env()?, Bus::from_env()?);
    Box::pin(lambda_runtime::run(service_fn(|batch| relay::handle(&store, &bus, batch)))).await
}
