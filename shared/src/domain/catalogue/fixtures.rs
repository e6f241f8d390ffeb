//! Catalogues for the tests of the domain.

use std::sync::LazyLock;

use crate::domain::catalogue::Catalogue;
use crate::domain::catalogue::price_list::PriceList;

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    let built_in = Catalogue::built_in().unwrap();
    Catalogue::new(built_in.lists().next().unwrap().clone(), Vec::new())
});

/// The first version of the built-in catalogue. A later version does not change the results of tests.
pub(in crate::domain) fn catalogue() -> Catalogue {
    BUILT_IN.clone()
}

/// The price list of [`catalogue`].
pub(in crate::domain) fn prices() -> &'static PriceList {
    BUILT_IN.lists().next().unwrap()
}

/// The first version of a product that makes images.
const FIRST: &str = r#"{ "version": "1", "effective": "2020-01-01",
    "credit": { "cents": 2, "currency": "eur" },
    "purchase": { "minimum": 10, "maximum": 1000, "presets": [10, 100] },
    "actions": {
        "image": { "code": "im", "unit": "image", "credits": 3, "charged": ["done"],
            "free": ["rejected"], "enrichment": true },
        "video": { "code": "vi", "unit": "started_second", "credits": 2, "charged": ["done"],
            "rounding": { "quantity": "frames", "per_unit": 24 } } },
    "plans": {
        "trial": { "credits": 20, "per": "team", "cadence": "once", "trial": true },
        "studio": { "credits": 300, "per": "seat", "cadence": "monthly" } } }"#;

/// A catalogue with [`FIRST`] and further versions.
pub(super) fn parsed(later: &str) -> Catalogue {
    let separator = if later.is_empty() { "" } else { "," };
    Catalogue::parse(&format!(r#"{{ "versions": [{FIRST}{separator}{later}] }}"#)).unwrap()
}
