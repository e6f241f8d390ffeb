//! The catalogue of the tests.

#![allow(clippy::expect_used, reason = "a test panics without its catalogue")]

use std::sync::LazyLock;

use shared::domain::catalogue::Catalogue;
use shared::domain::catalogue::price_list::PriceList;

static FIRST: LazyLock<Catalogue> = LazyLock::new(|| {
    let built_in = Catalogue::built_in().expect("the built-in catalogue is valid");
    Catalogue::new(built_in.lists().next().expect("it has a version").clone(), Vec::new())
});

/// The first version of the built-in catalogue. Tests name its actions, plans and amounts; later versions
/// do not change their results.
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
