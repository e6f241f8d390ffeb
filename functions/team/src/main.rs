//! The Lambda function `team`.

use lambda_http::{Error, lambda_runtime, service_fn};
use shared::http::serve;
use shared::lambda::{App, log};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let app = App::from_env()?;
    let router = serve::with_middleware(team::routes(app.clone()));
    let handle = service_fn(|event| team::handle(&router, &app, event));
    Box::pin(lambda_runtime::run(handle)).await
}
