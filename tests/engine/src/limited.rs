//! An HTTP client that rejects some requests without sending them.
//!
//! An error of an SDK interceptor would be retried like a failed connection.

use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::errors::DynoxideError;

use crate::limits::violation;
use crate::policy::denial;

/// Returns the error for an operation and its body, if the request is rejected.
type Check = fn(&str, &[u8]) -> Option<DynoxideError>;

/// An HTTP client that enforces the limits of DynamoDB.
pub(crate) fn limited(http: SharedHttpClient) -> SharedHttpClient {
    checked(http, |_, body| violation(body).map(DynoxideError::ValidationException))
}

/// An HTTP client that enforces the policies of the functions.
pub(crate) fn allowed(http: SharedHttpClient) -> SharedHttpClient {
    checked(http, |operation, body| {
        denial(operation, body).map(DynoxideError::AccessDeniedException)
    })
}

fn checked(http: SharedHttpClient, check: Check) -> SharedHttpClient {
    http_client_fn(move |settings, components| {
        let http = http.http_connector(settings, components);
        SharedHttpConnector::new(Checked { http, check })
    })
}

#[derive(Debug)]
struct Checked {
    http: SharedHttpConnector,
    check: Check,
}

impl HttpConnector for Checked {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        match request.body().bytes().and_then(|body| (self.check)(operation, body)) {
            Some(error) => HttpConnectorFuture::ready(rejection(&error)),
            None => self.http.call(request),
        }
    }
}

fn rejection(error: &DynoxideError) -> Result<HttpResponse, ConnectorError> {
    let status = error.status_code().try_into();
    let status = status.map_err(|error| ConnectorError::other(Box::new(error), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(error.to_json())))
}
