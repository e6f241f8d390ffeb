//! A stand-in for the JWT authorizer of the API. It signs and verifies tokens.

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::Error;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayRequestAuthorizer, ApiGatewayRequestAuthorizerJwtDescription,
    ApiGatewayV2httpRequestContext,
};
use lambda_http::request::RequestContext;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The key that signs the tokens. It is public and is accepted by local stacks only. It is constant, so
/// tokens stay valid across restarts.
pub const SECRET: &[u8] = b"of the local stack, which keeps no secrets";

/// The issuer of the tokens.
pub const ISSUER: &str = "https://local.invalid";

/// The audience of the tokens.
pub const AUDIENCE: &str = "credits";

/// The lifetime of a token by the system's clock; moving the stack's clock does not end it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The claims of a token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The id of the user or the machine client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The team of a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// `admin` or `member`, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Scopes separated by spaces, for a machine client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

#[derive(Serialize)]
struct Token<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    claims: &'a Claims,
}

/// Returns a signed token with these claims.
///
/// # Errors
/// The errors of the signing library.
pub fn sign(claims: &Claims) -> Result<String, Error> {
    let now = Timestamp::now();
    let exp = now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX).as_second();
    let token = Token { iss: ISSUER, aud: AUDIENCE, iat: now.as_second(), exp, claims };
    encode(&Header::default(), &token, &EncodingKey::from_secret(SECRET))
}

fn verify(token: &str) -> Result<Map<String, Value>, Error> {
    let mut validation = Validation::default();
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    decode(token, &DecodingKey::from_secret(SECRET), &validation).map(|token| token.claims)
}

/// Adds the request context to a request as the API does: an id, and the claims of a valid token.
/// Without claims the functions refuse the request.
pub async fn authorize(mut request: Request, next: Next) -> Response {
    let mut context = ApiGatewayV2httpRequestContext::default();
    context.request_id = Some(format!("{:016x}", fastrand::u64(..)));
    context.authorizer = bearer(&request).and_then(|token| verify(token).ok()).map(authorizer);
    request.extensions_mut().insert(RequestContext::ApiGatewayV2(context));
    next.run(request).await
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn authorizer(claims: Map<String, Value>) -> ApiGatewayRequestAuthorizer {
    let mut jwt = ApiGatewayRequestAuthorizerJwtDescription::default();
    jwt.claims = claims.into_iter().map(|(name, value)| (name, text(&value))).collect();
    let mut authorizer = ApiGatewayRequestAuthorizer::default();
    authorizer.jwt = Some(jwt);
    authorizer
}

/// Returns a claim as the API passes it, always as text.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_valid(claims: &Value, key: &[u8]) -> bool {
        let key = EncodingKey::from_secret(key);
        verify(&encode(&Header::default(), claims, &key).unwrap()).is_ok()
    }

    #[test]
    fn accepts_only_tokens_with_own_key_issuer_audience_and_time() {
        let exp = Timestamp::now().as_second() + 600;
        let valid = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp });
        assert!(is_valid(&valid, SECRET));
        assert!(!is_valid(&valid, b"another key"));
        assert!(!is_valid(&json!({ "iss": "another", "aud": AUDIENCE, "exp": exp }), SECRET));
        assert!(!is_valid(&json!({ "iss": ISSUER, "aud": "another", "exp": exp }), SECRET));
        assert!(!is_valid(&json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp - 1200 }), SECRET));
        assert!(!is_valid(&json!({ "iss": ISSUER, "aud": AUDIENCE }), SECRET));
        let early = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp, "nbf": exp });
        assert!(!is_valid(&early, SECRET), "not yet valid");
        // {"alg":"none"}
        let unsigned = sign(&Claims::default()).unwrap();
        let payload = unsigned.split('.').nth(1).unwrap();
        assert!(verify(&format!("eyJhbGciOiJub25lIn0.{payload}.")).is_err());
    }
}
