//! The signature of a webhook.

use ring::hmac::{HMAC_SHA256, Key, sign, verify};

/// A signature is accepted for this many seconds before and after its time.
pub const SIGNATURE_SECONDS_MAX: u64 = 300;

/// Further signatures are ignored. Stripe sends one for each secret of the endpoint.
const SIGNATURES_MAX: usize = 8;

/// Whether the header `Stripe-Signature` has a signature of the body by one of the secrets, made at about `now`
/// (seconds since 1970). The header has the time `t` and any number of signatures `v1`; other schemes are ignored.
#[must_use]
pub fn is_signed(header: &str, body: &[u8], secrets: &[String], now: i64) -> bool {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some((_, time)) = parts().find(|(name, _)| *name == "t") else { return false };
    let is_recent = |time: i64| {
        now.checked_sub(time).is_some_and(|age| age.unsigned_abs() <= SIGNATURE_SECONDS_MAX)
    };
    if !time.parse().is_ok_and(is_recent) {
        return false;
    }
    let signed = [time.as_bytes(), b".", body].concat();
    let signatures = parts().filter(|(name, _)| *name == "v1").take(SIGNATURES_MAX);
    let signatures: Vec<Vec<u8>> =
        signatures.filter_map(|(_, digits)| hex::decode(digits).ok()).collect();
    secrets.iter().filter(|secret| !secret.is_empty()).any(|secret| {
        let key = Key::new(HMAC_SHA256, secret.as_bytes());
        // The body is hashed once for each secret. The tags of tags are compared in constant time.
        let tag = sign(&key, sign(&key, &signed).as_ref());
        signatures.iter().any(|signature| verify(&key, signature, tag.as_ref()).is_ok())
    })
}
