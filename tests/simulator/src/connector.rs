//! The SDK's connection to the table.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use crate::table::{Answer, Table};

/// Sends requests to the table.
#[derive(Debug)]
pub(crate) struct Connector(pub(crate) Arc<Table>);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().map(<[u8]>::to_vec).unwrap_or_default();
        served(Arc::clone(&self.0).serve(operation, body))
    }
}

/// The answer to a request. A request that was sent is executed even if its sender no longer waits.
pub(crate) fn served(
    answer: impl Future<Output = Option<Answer>> + Send + 'static,
) -> HttpConnectorFuture {
    let served = tokio::spawn(answer);
    HttpConnectorFuture::new(async move {
        match served.await {
            Ok(Some(answer)) => response(answer),
            Ok(None) => Err(ConnectorError::io("the connection broke".into())),
            Err(error) => Err(ConnectorError::other(error.into(), None)),
        }
    })
}

fn response(Answer { status, body }: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
