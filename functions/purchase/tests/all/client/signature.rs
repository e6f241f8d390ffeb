//! The digests are those of Python's `hmac`.

use purchase::stripe::{SIGNATURE_SECONDS_MAX, is_signed};

const BODY: &[u8] = br#"{"id":"evt_1","type":"charge.succeeded"}"#;

const TIME: i64 = 1_800_000_000;

/// By `whsec_first`.
const FIRST: &str = "84af21762dc75e6469023e70dce480d5dac25825236e70e71dce8d192eddc10c";

/// By `whsec_second`.
const SECOND: &str = "de2f457628121f94f558a0469da70571a5f163b5fb3b3ba850dde9a32ef79618";

/// By an empty secret.
const EMPTY: &str = "36f17defe47850f76fed63c3c2d18df1d25cfd5c1bd99fefc9ae6563d81205b3";

fn accepts(header: &str, secrets: &[&str]) -> bool {
    accepts_at(header, secrets, TIME)
}

fn accepts_at(header: &str, secrets: &[&str], now: i64) -> bool {
    let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    is_signed(header, BODY, &secrets, now)
}

#[test]
fn a_signature_of_the_body_by_the_secret_is_accepted() {
    let header = format!("t={TIME},v1={FIRST}");
    assert!(accepts(&header, &["whsec_first"]));
    assert!(accepts(&format!("t={TIME}, v1={FIRST}"), &["whsec_first"]), "with a space");
    assert!(!accepts(&header, &["whsec_second"]), "another secret");
    let secrets = ["whsec_first".to_owned()];
    for changed in [&b"{}"[..], b"", &BODY[1..], &[BODY, b" "].concat()] {
        assert!(!is_signed(&header, changed, &secrets, TIME), "{changed:?}");
    }
    let other_time = format!("t={},v1={FIRST}", TIME + 1);
    assert!(!accepts(&other_time, &["whsec_first"]), "the time is signed");
}

/// Stripe signs with both secrets while one is rolled.
#[test]
fn one_signature_by_one_secret_is_enough() {
    for header in [
        format!("t={TIME},v1={FIRST},v1={SECOND}"),
        format!("t={TIME},v1={SECOND},v1={FIRST}"),
        format!("v1={FIRST},v1={SECOND},t={TIME}"),
        format!("t={TIME},v1={},v1=zz,v1=,v1={FIRST}", "0".repeat(64)),
    ] {
        for secrets in [&["whsec_first"][..], &["whsec_other", "whsec_first"]] {
            assert!(accepts(&header, secrets), "{header} {secrets:?}");
        }
        assert!(!accepts(&header, &["whsec_other"]), "{header}");
    }
    assert!(accepts(&format!("t={TIME},v1={SECOND}"), &["whsec_first", "whsec_second"]));
}

#[test]
fn other_schemes_are_ignored() {
    for scheme in ["v0", "v2", "V1", "v", ""] {
        assert!(!accepts(&format!("t={TIME},{scheme}={FIRST}"), &["whsec_first"]), "{scheme}");
    }
    assert!(accepts(&format!("t={TIME},v0={SECOND},v1={FIRST}"), &["whsec_first"]));
}

#[test]
fn a_signature_is_accepted_for_five_minutes_in_both_directions() {
    assert_eq!(SIGNATURE_SECONDS_MAX, 300);
    let header = format!("t={TIME},v1={FIRST}");
    for (age, is_accepted) in [(300, true), (301, false), (-300, true), (-301, false)] {
        assert_eq!(accepts_at(&header, &["whsec_first"], TIME + age), is_accepted, "{age}");
    }
    for now in [i64::MIN, i64::MAX, 0] {
        assert!(!accepts_at(&header, &["whsec_first"], now), "{now}");
    }
}

#[test]
fn a_header_without_a_time_and_a_digest_is_refused() {
    for header in [
        String::new(),
        "garbage".to_owned(),
        ",,=,".to_owned(),
        format!("v1={FIRST}"),
        format!("t={TIME}"),
        format!("t=,v1={FIRST}"),
        format!("t=now,v1={FIRST}"),
        format!("t={TIME}.0,v1={FIRST}"),
        format!("t={}9,v1={FIRST}", i64::MAX),
        format!("t={TIME},v1={}", &FIRST[..62]),
        format!("t={TIME},v1={FIRST}00"),
        format!("t={TIME} v1={FIRST}"),
        format!("t={TIME},v1=\u{e9}"),
    ] {
        assert!(!accepts(&header, &["whsec_first"]), "{header}");
    }
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    for digest in [FIRST, EMPTY] {
        let header = format!("t={TIME},v1={digest}");
        for secrets in [&[][..], &[""], &["", ""]] {
            assert!(!accepts(&header, secrets), "{header} {secrets:?}");
        }
    }
    assert!(accepts(&format!("t={TIME},v1={FIRST}"), &["", "whsec_first"]));
}
