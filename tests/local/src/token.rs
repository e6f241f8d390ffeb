//! A stand-in for the API's JWT authorizer: real signed tokens, really verified.

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

/// Signs the tokens. Everybody knows it; it opens nothing but stacks on engineers' machines, and
/// tokens stay good when a stack is started again.
pub const SECRET: &[u8] = b"of the local stack, which keeps no secrets";

/// Who issues the tokens.
pub const ISSUER: &str = "https://local.invalid";

/// For whom they are.
pub const AUDIENCE: &str = "credits";

/// How long a token is good, by the system's clock: time travel does not end it.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What a token says of its bearer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The user's or the machine client's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The one team that a person acts for.
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

/// A token with these claims.
///
/// # Errors
/// The signing library's.
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

/// Puts the request context around a request as the API does: an id always, and the claims of a
/// token that is good. Without one the functions refuse the request themselves.
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

/// All claims arrive as texts.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_good(claims: &Value, key: &[u8]) -> bool {
        let key = EncodingKey::from_secret(key);
        verify(&encode(&Header::default(), claims, &key).unwrap()).is_ok()
    }

    #[test]
    fn only_our_own_valid_tokens_are_good() {
        let exp = Timestamp::now().as_second() + 600;
        let good = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp });
        assert!(is_good(&good, SECRET));
        assert!(!is_good(&good, b"another key"));
        assert!(!is_good(&json!({ "iss": "another", "aud": AUDIENCE, "exp": exp }), SECRET));
        assert!(!is_good(&json!({ "iss": ISSUER, "aud": "another", "exp": exp }), SECRET));
        assert!(!is_good(&json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp - 1200 }), SECRET));
        assert!(!is_good(&json!({ "iss": ISSUER, "aud": AUDIENCE }), SECRET));
        let early = json!({ "iss": ISSUER, "aud": AUDIENCE, "exp": exp, "nbf": exp });
        assert!(!is_good(&early, SECRET), "not yet valid");
        // {"alg":"none"}
        let unsigned = sign(&Claims::default()).unwrap();
        let payload = unsigned.split('.').nth(1).unwrap();
        assert!(verify(&format!("eyJhbGciOiJub25lIn0.{payload}.")).is_err());
    }
}
