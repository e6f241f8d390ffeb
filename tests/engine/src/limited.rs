//! An HTTP client that rejects a request beyond a limit without sending it.
//!
//! An error of an SDK interceptor would look like a failed connection, which callers try again.

use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::errors::DynoxideError;

use crate::limits::violation;

/// Checks the requests of an HTTP client.
pub(crate) fn limited(http: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(Limited(http.http_connector(settings, components)))
    })
}

#[derive(Debug)]
struct Limited(SharedHttpConnector);

impl HttpConnector for Limited {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match request.body().bytes().and_then(violation) {
            Some(message) => HttpConnectorFuture::ready(rejection(message)),
            None => self.0.call(request),
        }
    }
}

fn rejection(message: String) -> Result<HttpResponse, ConnectorError> {
    let error = DynoxideError::ValidationException(message);
    let status = error.status_code().try_into();
    let status = status.map_err(|error| ConnectorError::other(Box::new(error), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(error.to_json())))
}
