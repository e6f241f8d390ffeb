//! The Lambda function `panel`.

use lambda_http::{Error, lambda_runtime, service_fn};
use shared::http::serve;
use shared::lambda::log;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::init();
    let router = serve::with_middleware(panel::routes().merge(panel::known_paths()?));
    let handle = service_fn(|event| serve::answer_http_only(&router, event));
    Box::pin(lambda_runtime::run(handle)).await
}
