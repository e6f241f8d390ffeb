//! One line per request on standard error.

use std::io::{self, Write};
use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use console::style;
use lambda_http::request::RequestContext;

/// Writes method, path, status, milliseconds and team of a request once it is answered. The status
/// has a colour if standard error is a terminal.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let team = team(&request).unwrap_or_else(|| "-".to_owned());
    let response = next.run(request).await;
    let status = style(response.status().as_u16()).for_stderr();
    let status = match response.status().as_u16() {
        ..400 => status.green(),
        400..500 => status.yellow(),
        500.. => status.red(),
    };
    let time = start.elapsed().as_millis();
    // A request is answered even if standard error is closed.
    let _ =
        writeln!(io::stderr(), "{:<6} {path:<42} {status} {time:>5} ms  {team}", method.as_str());
    response
}

/// The team of the path, otherwise that of the token.
fn team(request: &Request) -> Option<String> {
    let of_path = request.uri().path().strip_prefix("/teams/");
    if let Some(team) = of_path.and_then(|rest| rest.split('/').next()) {
        return Some(team.to_owned());
    }
    match request.extensions().get::<RequestContext>()? {
        RequestContext::ApiGatewayV2(context) => {
            context.authorizer.as_ref()?.jwt.as_ref()?.claims.get("team").cloned()
        }
        _ => None,
    }
}
