//! The Lambda function `purchase`.

use lambda_http::{Error, lambda_runtime, service_fn};
use purchase::PurchaseState;
use purchase::stripe::Stripe;
use shared::http::serve;
use shared::lambda::{App, log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let state = PurchaseState { app: App::from_env()?, stripe: Stripe::from_env()? };
    let router = serve::with_middleware(purchase::routes(state.clone()));
    let handle = service_fn(|event| purchase::handle(&router, &state, event));
    Box::pin(lambda_runtime::run(handle)).await
}
