//! The check of a catalogue file, and the schema next to the built-in one.

use local::catalogue::check;
use serde_json::{Value, json};
use shared::domain::catalogue::Catalogue;

use crate::support::catalogue::{IMAGES, follows_schema, mistakes};

/// Changes of the file of images: the text to find, its replacement, the mistakes with their places, and
/// whether the schema finds one too.
const MISTAKES: &[(&str, &str, &str, bool)] = &[
    // The form of a field.
    (
        r#""unit": "image""#,
        r#""unit": "Image""#,
        "11:33: `unit` must be a name: a lowercase letter, then up to 49 lowercase letters, digits or _",
        true,
    ),
    (
        r#""credits": 8"#,
        r#""credits": -8"#,
        "11:53: `credits` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    (
        r#""credits": 8"#,
        r#""credits": 8.5"#,
        "11:53: `credits` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    (
        r#""credits": 8"#,
        r#""credits": "8""#,
        "11:53: `credits` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    (
        r#""credits": 8"#,
        r#""credits": 9007199254740992"#,
        "11:53: `credits` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    (
        r#""credits": 8"#,
        r#""credits": null"#,
        "11:53: `credits` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    (
        r#""charged": ["answered"]"#,
        r#""charged": "answered""#,
        "17:36: `charged` must be an array of names of outcomes",
        true,
    ),
    (
        r#""per_unit": 1000"#,
        r#""per_unit": 0"#,
        "16:108: `per_unit` must be a whole number from 1 to 1000000",
        true,
    ),
    (
        r#""cadence": "monthly""#,
        r#""cadence": "weekly""#,
        "23:53: `cadence` must be once, monthly or none",
        true,
    ),
    (r#""per": "seat""#, r#""per": "user""#, "23:34: `per` must be team or seat", true),
    (r#""per": "day""#, r#""per": "hour""#, "24:31: `per` must be day, week or month", true),
    (
        r#""effective": "2027-06-01""#,
        r#""effective": "June 2027""#,
        "30:20: `effective` must be a date such as 2027-03-01",
        true,
    ),
    (
        r#""effective": "2027-06-01""#,
        r#""effective": "2027-06-01T18:00:00-08:00[America/Los_Angeles]""#,
        "30:20: `effective` must be a date such as 2027-03-01",
        true,
    ),
    (
        r#""currency": "eur""#,
        r#""currency": "EUR""#,
        "7:43: `currency` must be three lowercase letters, such as eur",
        true,
    ),
    (
        r#""cents": 2"#,
        r#""cents": 0"#,
        "7:28: `cents` must be a whole number of cents from 1 on",
        true,
    ),
    (
        r#""code": "im""#,
        r#""code": "img""#,
        "11:19: `code` must be two lowercase letters, but neither as nor de",
        true,
    ),
    (
        r#""code": "im""#,
        r#""code": "as""#,
        "11:19: `code` must be two lowercase letters, but neither as nor de",
        true,
    ),
    (
        r#""version": "2027-06""#,
        r#""version": 2027"#,
        "29:18: `version` must be a text of 1 to 20 letters, digits or . _ -",
        true,
    ),
    (r#""trial": true"#, r#""trial": "yes""#, "21:80: `trial` must be true or false", true),
    (
        r#""presets": [100, 500, 2500]"#,
        r#""presets": 100"#,
        "8:65: `presets` must be an array of whole numbers of credits",
        true,
    ),
    (
        r#""charged": ["answered"]"#,
        r#""charged": ["answered", 5]"#,
        "17:49: an element of `charged` must be a name: a lowercase letter, then up to 49 lowercase letters, digits or _",
        true,
    ),
    (
        r#"{ "action": "image", "per": "week""#,
        r#"{ "action": 5, "per": "day""#,
        "24:68: `action` must be a name: a lowercase letter, then up to 49 lowercase letters, digits or _",
        true,
    ),
    (
        "[100, 500, 2500]",
        "[100, -500, 2500]",
        "8:71: an element of `presets` must be a whole number of credits, at most 9007199254740991",
        true,
    ),
    // Fields that are unknown, missing or repeated.
    (
        r#""own_key": true"#,
        r#""own\u0020key": true"#,
        "17:50: unknown field `own key`; the fields are code, unit, rounding, credits, charged, free, enrichment, own_key, monthly_per_account",
        true,
    ),
    (
        r#""own_key": true"#,
        r#""ownkey": true"#,
        "17:50: unknown field `ownkey`; the fields are code, unit, rounding, credits, charged, free, enrichment, own_key, monthly_per_account",
        true,
    ),
    (r#""quantity": "tokens", "#, "", "16:72: `quantity` is missing", true),
    (r#""unit": "megapixel", "#, "", "14:20: `unit` is missing", true),
    (r#""credit": { "cents": 2, "currency": "eur" },"#, "", "4:5: `credit` is missing", true),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""prices": {}"#,
        "31:7: unknown field `prices`; the fields are version, effective, credit, purchase, actions, plans",
        true,
    ),
    (r#""version": "2027-06","#, "", "28:5: `version` is missing", true),
    (r#""minimum": 50"#, r#""minimum": 50, "minimum": 60"#, "8:36: `minimum` occurs twice", false),
    (r#""starter": {"#, r#""studio": {"#, "22:9: `studio` occurs twice", false),
    (
        r#""credit": { "#,
        r#""credit": { "cents": 0 }, "credit": { "#,
        "7:17: `currency` is missing\n\
         7:28: `cents` must be a whole number of cents from 1 on\n\
         7:33: `credit` occurs twice",
        false,
    ),
    (
        r#""versions": ["#,
        r#""versions": [], "versions": ["#,
        "3:15: `versions` must have at least one version\n3:19: `versions` occurs twice",
        false,
    ),
    // The changes of a later version.
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": null }"#,
        "31:20: this version has no action `image`",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": { "charged": ["failed"] } }"#,
        "31:43: `failed` is both charged and free",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": { "monthly_per_account": true } }"#,
        "31:54: an action that is charged for monitored accounts has one outcome",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""plans": { "studio": { "cadence": "none" } }"#,
        "31:41: `credits` must be 0, because `cadence` is none",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""purchase": { "maximum": 400 }"#,
        "31:32: the preset 2500 is more than `maximum`\n31:32: the preset 500 is more than `maximum`",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""purchase": { "maximum": 20, "presets": [30] }"#,
        "31:32: `minimum` must be at most `maximum`\n\
         31:48: the preset 30 is less than `minimum`\n\
         31:48: the preset 30 is more than `maximum`",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""credit": { "cents": 900000000000 }"#,
        "31:28: `maximum` credits must cost at most 9007199254740991 cents",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": { "code": "ig" } }"#,
        "31:39: the code of `image` is `im` and never changes",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": { "code": null } }"#,
        "31:31: `code` cannot be removed",
        true,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "audio": { "credits": 10 } }"#,
        "31:29: `charged` is missing\n31:29: `code` is missing\n31:29: `unit` is missing",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "audio": null }"#,
        "31:20: there is no `audio` to remove",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "upscale": null, "film": { "code": "up", "unit": "second", "credits": 1, "charged": ["done"] } }"#,
        "31:55: `up` is the code of `upscale` for all versions",
        false,
    ),
    (
        r#"{ "image": { "credits": 10 } }"#,
        r#"{ "image": null, "upscale": null, "prompt_assistant": null }"#,
        "31:18: a version needs actions; this one has none left\n31:20: this version has no action `image`",
        false,
    ),
    (
        r#""effective": "2027-06-01""#,
        r#""effective": "2026-01-01""#,
        "30:20: `effective` must be after that of the version before",
        false,
    ),
    (
        r#""version": "2027-06""#,
        r#""version": "2026-01""#,
        "29:18: another version has this name",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""credit": { "currency": "usd" }"#,
        "31:31: a catalogue keeps its currency",
        false,
    ),
    // Rules.
    (
        r#""code": "up""#,
        r#""code": "im""#,
        "14:30: `im` is the code of `image` for all versions",
        false,
    ),
    (
        r#""free": ["rejected", "failed"]"#,
        r#""free": ["rejected", "delivered"]"#,
        "12:58: `delivered` is both charged and free",
        false,
    ),
    (
        r#""charged": ["answered"]"#,
        r#""charged": []"#,
        "17:36: an action needs an outcome that is charged",
        true,
    ),
    (
        r#""charged": ["answered"]"#,
        r#""charged": ["answered", "answered"]"#,
        "17:49: `answered` occurs twice",
        true,
    ),
    (
        r#""own_key": true"#,
        r#""own_key": true, "free": ["failed"], "monthly_per_account": true"#,
        "17:36: an action that is charged for monitored accounts has one outcome",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""actions": { "image": { "monthly_per_account": true, "free": null }, "prompt_assistant": { "monthly_per_account": true } }"#,
        "31:121: another action is charged for monitored accounts",
        false,
    ),
    (
        r#""minimum": 50, "maximum": 20000, "presets": [100, 500, 2500]"#,
        r#""minimum": 3000000000, "maximum": 2000000000, "presets": [500, 100]"#,
        "8:32: `minimum` must be at most `maximum`\n\
         8:55: `maximum` must be at most 1000000000\n\
         8:79: the preset 500 is less than `minimum`\n\
         8:84: a preset must be more than the one before\n\
         8:84: the preset 100 is less than `minimum`",
        true,
    ),
    (
        r#""maximum": 20000"#,
        r#""maximum": 1000000001"#,
        "8:47: `maximum` must be at most 1000000000",
        true,
    ),
    (
        r#""cents": 2"#,
        r#""cents": 900000000000"#,
        "7:28: `maximum` credits must cost at most 9007199254740991 cents",
        false,
    ),
    (
        "[100, 500, 2500]",
        "[10, 500, 25000]",
        "8:66: the preset 10 is less than `minimum`\n8:75: the preset 25000 is more than `maximum`",
        false,
    ),
    ("[100, 500, 2500]", "[500, 100]", "8:71: a preset must be more than the one before", false),
    (
        r#""credits": 300"#,
        r#""credits": 100000001"#,
        "23:22: a plan grants at most 100000000 credits",
        true,
    ),
    (
        r#""cadence": "once""#,
        r#""cadence": "none""#,
        "21:33: `credits` must be 0, because `cadence` is none",
        false,
    ),
    (
        r#"{ "action": "image", "per": "week""#,
        r#"{ "action": "audio", "per": "week""#,
        "24:68: this version has no action `audio`",
        false,
    ),
    (
        r#"{ "per": "day", "credits": 200 }"#,
        r#"{ "per": "day", "credits": 200 }, { "per": "day", "credits": 300 }"#,
        "24:56: another limit has this action and this period",
        false,
    ),
    (
        r#""per_unit": 1000 "#,
        r#""per_unit": 1000001 "#,
        "16:108: `per_unit` must be a whole number from 1 to 1000000",
        true,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""plans": { "starter": { "retired": true }, "studio": null }"#,
        "31:16: no plan is left that a new team can start",
        false,
    ),
    (
        r#""actions": { "image": { "credits": 10 } }"#,
        r#""actions": { "image": { "credits": 0 }, "upscale": null, "prompt_assistant": null }"#,
        "31:18: no action is left whose charges cost credits",
        false,
    ),
    // The syntax.
    (r#""credits": 8,"#, r#""credits": 8"#, "12:11: expected `,` or `}`", true),
];

#[test]
fn a_mistake_is_reported_with_its_place() {
    for (find, put, expected, is_in_schema) in MISTAKES {
        assert_eq!(IMAGES.matches(find).count(), 1, "{find}");
        let text = IMAGES.replace(find, put);
        let found = mistakes(&text);
        assert_eq!(found, *expected, "{find} -> {put}");
        assert_eq!(!follows_schema(&text), *is_in_schema, "{find} -> {put}");
    }
}

/// Objects of the file of images, with their optional fields.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("", &["$schema"]),
    ("/versions/0", &[]),
    ("/versions/1", &[]),
    ("/versions/0/credit", &[]),
    ("/versions/0/purchase", &[]),
    ("/versions/0/actions/image", ACTION),
    ("/versions/1/actions/image", ACTION),
    ("/versions/0/actions/prompt_assistant/rounding", &[]),
    (
        "/versions/0/plans/studio",
        &["account_created_before", "agreed_amount", "trial", "retired", "limits"],
    ),
    ("/versions/0/plans/studio/limits/1", &["action"]),
];

const ACTION: &[&str] = &["rounding", "free", "enrichment", "own_key", "monthly_per_account"];

/// The file of images with another value of a field of an object.
fn with_field(object: &str, name: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(IMAGES).unwrap();
    file.pointer_mut(object).unwrap()[name] = value;
    file.to_string()
}

/// An optional field that is null is left out, in a first version too. A required one is never null. The check
/// and the schema agree.
#[test]
fn an_optional_field_may_be_null() {
    for (object, optional) in OPTIONAL {
        let unknown = mistakes(&with_field(object, "unknown", json!(0)));
        let (_, names) = unknown.split_once("; the fields are ").unwrap();
        let names: Vec<&str> = names.lines().next().unwrap().split(", ").collect();
        assert!(optional.iter().all(|name| names.contains(name)), "{object}: {names:?}");
        for name in names {
            let text = with_field(object, name, Value::Null);
            let is_optional = optional.contains(&name);
            assert_eq!(mistakes(&text).is_empty(), is_optional, "check: {object} {name}");
            assert_eq!(follows_schema(&text), is_optional, "schema: {object} {name}");
            assert!(!is_optional || Catalogue::parse(&text).is_ok(), "parser: {object} {name}");
        }
    }
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_their_order() {
    let mut text = IMAGES.to_owned();
    for (find, put) in [
        (r#""cents": 2"#, r#""cents": "2""#),
        (r#""code": "up""#, r#""code": "im""#),
        (r#""free": ["rejected", "failed"]"#, r#""free": ["delivered", "failed"]"#),
        (r#""trial": true"#, r#""trail": true"#),
        (r#""effective": "2027-06-01""#, r#""effective": "2025-06-01""#),
    ] {
        text = text.replace(find, put);
    }
    let found = mistakes(&text);
    let places: Vec<&str> = found.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["7:28", "12:46", "14:30", "21:71", "30:20"], "{found}");
    assert!(Catalogue::parse(&text).is_err());
}

/// The version that makes a mistake may be followed by versions that keep it.
#[test]
fn a_mistake_is_reported_once() {
    let first = IMAGES.replace(r#""unit": "megapixel", "#, "");
    let first = first.replace(r#""cadence": "once""#, r#""cadence": "none""#);
    let third = r#"{ "version": "3", "effective": "2028-01-01", "actions": { "image": null },
        "plans": { "starter": { "retired": true }, "studio": { "retired": true } } }"#;
    let fourth = r#"{ "version": "4", "effective": "2029-01-01", "actions": { "upscale": { "credits": 3 } },
        "plans": { "starter": { "trial": null }, "studio": { "per": "team" } } }"#;
    let details = [
        "`unit` is missing",
        "`credits` must be 0, because `cadence` is none",
        "this version has no action `image`",
        "no plan is left that a new team can start",
    ];
    for later in [third.to_owned(), format!("{third},{fourth}")] {
        let found = mistakes(&with_versions(&first, &later));
        let found: Vec<&str> = found.lines().map(|line| line.split_once(": ").unwrap().1).collect();
        assert_eq!(found, details);
    }
}

#[test]
fn a_file_that_is_no_json_has_a_place_too() {
    for (file, expected) in [
        (b"".as_slice(), "1:1: EOF while parsing a value"),
        (b"{\n", "2:1: EOF while parsing an object"),
        ("{ \"é\": 1,}".as_bytes(), "1:10: key must be a string"),
        (b"{\n  \"\xff", "2:4: must be UTF-8"),
    ] {
        let found: Vec<String> = check(file).iter().map(ToString::to_string).collect();
        assert_eq!(found, [expected]);
    }
}

/// Adds versions to a file.
fn with_versions(file: &str, later: &str) -> String {
    format!("{},{later}]}}", file.trim_end().strip_suffix("  ]\n}").unwrap().trim_end())
}

#[test]
fn a_catalogue_has_at_most_40_actions_over_all_versions() {
    let action = |number: u8| {
        let code = [b'b' + number / 26, b'a' + number % 26].map(char::from);
        format!(
            r#""action_{number}": {{ "code": "{}{}", "unit": "unit", "credits": 1, "charged": ["done"] }}"#,
            code[0], code[1]
        )
    };
    let actions = |numbers: std::ops::Range<u8>| numbers.map(action).collect::<Vec<_>>().join(",");
    let versions = |last| {
        let later = format!(
            r#"{{ "version": "3", "effective": "2028-01-01", "actions": {{ {} }} }},
               {{ "version": "4", "effective": "2029-01-01", "actions": {{ {}, "action_0": null }} }}"#,
            actions(0..30),
            actions(30..last)
        );
        with_versions(IMAGES, &later)
    };
    assert_eq!(mistakes(&versions(37)), "");
    let found = mistakes(&versions(38));
    assert!(found.ends_with("more than 40 actions over all versions"), "{found}");
    assert_eq!(found.lines().count(), 1);
}

#[test]
fn monitored_accounts_keep_an_action_that_is_charged_for_them() {
    const MONTH: &str = r#"{ "code": "wa", "unit": "account_month", "credits": 5, "charged": ["watched"], "monthly_per_account": true }"#;
    let third = format!(
        r#"{{ "version": "3", "effective": "2028-01-01", "actions": {{ "watch": {MONTH} }} }}"#
    );
    assert_eq!(mistakes(&with_versions(IMAGES, &third)), "");
    let fourth = |actions: &str| {
        let fourth = r#"{ "version": "4", "effective": "2029-01-01", "actions": "#;
        with_versions(IMAGES, &format!("{third},\n{fourth}{{ {actions} }} }}"))
    };
    for (change, column) in [
        (r#""watch": null"#, 59),
        (r#""watch": { "monthly_per_account": null }"#, 70),
        (r#""watch": { "monthly_per_account": false }"#, 93),
    ] {
        let detail = "no action is left that is charged for monitored accounts";
        assert_eq!(mistakes(&fourth(change)), format!("33:{column}: {detail}"), "{change}");
    }
    let other = MONTH.replace("wa", "wb").replace("wbtched", "seen");
    assert_eq!(mistakes(&fourth(&format!(r#""watch": null, "watch_well": {other}"#))), "");
}
