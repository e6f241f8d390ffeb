//! The signature of a webhook request.

use ring::hmac;

/// Returns the header `Stripe-Signature` of a payload: the time of the signature, and an HMAC with
/// SHA-256 of `{time}.{payload}` for each secret.
#[must_use]
pub fn signature(payload: &str, secrets: &[&str], now: i64) -> String {
    let signed = format!("{now}.{payload}");
    let mut header = format!("t={now}");
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        header.push_str(",v1=");
        header.push_str(&hex::encode(hmac::sign(&key, signed.as_bytes())));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests are those of Python's `hmac`.
    #[test]
    fn a_header_has_a_digest_for_each_secret() {
        let first = "799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f";
        let other = "7de382fc9d50efc4cbab2272c65bd6bca85a6eb696ebf6d9dfed06b24d0a3ca8";
        let header = |secrets: &[&str]| signature(r#"{"id":"evt_1"}"#, secrets, 1_492_774_577);
        assert_eq!(header(&["whsec_test_secret"]), format!("t=1492774577,v1={first}"));
        assert_eq!(
            header(&["whsec_test_secret", "whsec_other"]),
            format!("t=1492774577,v1={first},v1={other}"),
        );
    }
}
