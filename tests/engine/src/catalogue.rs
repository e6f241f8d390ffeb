//! The catalogue of the tests: the first version of the built-in one. Tests name its actions, plans and
//! amounts; later versions do not change their results.

#![allow(clippy::expect_used, reason = "a test panics without its catalogue")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::value::RawValue;
use shared::domain::catalogue::price_list::PriceList;
use shared::domain::catalogue::{BUILT_IN, Catalogue};

static FIRST: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::parse(&catalogue_file(&[])).expect("the first version is valid"));

/// The text of a file with the first version of the built-in catalogue and `later` versions.
///
/// # Panics
/// If the built-in catalogue is invalid.
#[must_use]
pub fn catalogue_file(later: &[String]) -> String {
    let file: BTreeMap<&str, &RawValue> = serde_json::from_str(BUILT_IN).expect("it is an object");
    let versions = file.get("versions").expect("it has versions").get();
    let versions: Vec<&RawValue> = serde_json::from_str(versions).expect("they are an array");
    let first = versions.first().expect("it has a version").get();
    let versions: Vec<&str> =
        std::iter::once(first).chain(later.iter().map(String::as_str)).collect();
    format!(r#"{{"versions":[{}]}}"#, versions.join(","))
}

/// The catalogue with that version only.
///
/// # Panics
/// If the built-in catalogue is invalid.
#[must_use]
pub fn catalogue() -> Catalogue {
    FIRST.clone()
}

/// The price list of [`catalogue`].
///
/// # Panics
/// If the built-in catalogue is invalid.
#[must_use]
pub fn prices() -> &'static PriceList {
    FIRST.lists().next().expect("it has a version")
}
