//! The catalogue: the prices of actions, the plans and the terms of sale, with versions that have
//! effective dates. They are data, read from `shared/catalogue.json` or from a file of that format.

pub mod action_code;
mod file;
#[cfg(test)]
pub(in crate::domain) mod fixtures;
pub mod plans;
pub mod price_list;
pub mod prices;

use std::iter;
use std::sync::{Arc, LazyLock};

use jiff::civil::Date;

use crate::domain::Error;
use crate::domain::catalogue::action_code::ActionCode;
use crate::domain::catalogue::plans::Plan;
use crate::domain::catalogue::price_list::PriceList;
use crate::domain::catalogue::prices::Price;
use crate::domain::money::Currency;

/// The file that is compiled in.
pub const BUILT_IN: &str = include_str!("../../../catalogue.json");

/// All past, present and future price lists of a product. Clones share them.
#[derive(Clone, Debug)]
pub struct Catalogue(Arc<Lists>);

#[derive(Debug)]
struct Lists {
    first: PriceList,
    /// By their effective dates.
    later: Vec<PriceList>,
}

impl Catalogue {
    /// The catalogue that is compiled in. It is parsed once per process.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file is invalid; a test checks it.
    pub fn built_in() -> Result<Self, Error> {
        static PARSED: LazyLock<Result<Catalogue, Error>> =
            LazyLock::new(|| Catalogue::parse(BUILT_IN).map_err(Error::internal));
        PARSED.clone()
    }

    /// The catalogue of a file. It is checked for its form only; `credits catalogue check` reports the
    /// mistakes of a file.
    ///
    /// # Errors
    /// The first field that does not have the form of the file.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        file::lists(json).map(|(first, later)| Self::new(first, later))
    }

    /// The catalogue with these price lists, by their effective dates.
    #[must_use]
    pub fn new(first: PriceList, later: Vec<PriceList>) -> Self {
        Self(Arc::new(Lists { first, later }))
    }

    /// All price lists, oldest first.
    #[must_use]
    pub fn lists(&self) -> impl DoubleEndedIterator<Item = &PriceList> {
        iter::once(&self.0.first).chain(&self.0.later)
    }

    /// The price list in force on a day (UTC); before the first effective date, the first.
    #[must_use]
    pub fn at(&self, day: Date) -> &PriceList {
        let in_force = self.0.later.iter().rev().find(|list| list.effective <= day);
        in_force.unwrap_or(&self.0.first)
    }

    /// The currency of all prices, the same in all lists.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.0.first.credit.currency
    }

    /// The price of an action in the newest list that has the action, in force or not.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Price> {
        self.lists().rev().find_map(|list| list.action(name))
    }

    /// The price of the action with this code in the newest list that has the action.
    #[must_use]
    pub fn action_of(&self, code: ActionCode) -> Option<&Price> {
        self.lists().rev().flat_map(|list| &list.actions).find(|price| price.code == code)
    }

    /// A plan in the newest list that has the plan, in force or not.
    #[must_use]
    pub fn plan(&self, name: &str) -> Option<&Plan> {
        self.lists().rev().find_map(|list| list.plan(name))
    }

    /// The plan whose terms a subscription fixes that starts on a day: those in force on that day. A plan
    /// that is newer than the start of its subscription has its terms of `today`.
    #[must_use]
    pub fn plan_at(&self, name: &str, start: Date, today: Date) -> Option<&Plan> {
        let newer = || self.at(today).plan(name).filter(|_| start < today);
        self.at(start).plan(name).or_else(newer)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::catalogue::fixtures::parsed;
    use jiff::civil::date;

    const LATER: &str = r#"{ "version": "2", "effective": "2027-03-01",
        "actions": { "image": { "credits": 4 }, "video": null,
            "upscaled_image": { "code": "up", "unit": "image", "credits": 1, "charged": ["done"] } },
        "plans": { "studio": { "retired": true }, "trial": { "credits": 7 },
            "agency": { "credits": 50, "per": "team", "cadence": "once" } } }"#;

    #[test]
    fn a_price_list_is_in_force_from_its_effective_date() {
        let catalogue = parsed(LATER);
        let version = |day| catalogue.at(day).version.as_str();
        assert_eq!(version(date(1999, 1, 1)), "1", "before the first list");
        assert_eq!(version(date(2027, 2, 28)), "1");
        assert_eq!(version(date(2027, 3, 1)), "2");
        assert_eq!(version(date(2031, 3, 1)), "2");
    }

    #[test]
    fn an_action_that_left_the_catalogue_keeps_its_name_and_code() {
        let catalogue = parsed(LATER);
        assert!(catalogue.at(date(2027, 3, 1)).action("video").is_none());
        let video = catalogue.action("video").unwrap();
        assert_eq!(catalogue.action_of(video.code).unwrap().name, "video");
        assert_eq!(catalogue.action("image").unwrap().credits.get(), 4, "of the newest list");
        assert!(catalogue.action("teleport").is_none());
    }

    #[test]
    fn a_subscription_has_the_terms_of_its_start() {
        let catalogue = parsed(LATER);
        let (before, after) = (date(2027, 2, 28), date(2027, 3, 1));
        let credits = |name, start, today| {
            catalogue.plan_at(name, start, today).map(|plan| plan.credits.get())
        };
        assert_eq!(credits("trial", before, after), Some(20));
        assert_eq!(credits("trial", after, before), Some(7), "a later start");
        assert_eq!(credits("agency", before, before), None, "not yet in force");
        assert_eq!(credits("agency", before, after), Some(50), "newer than the start");
        assert!(catalogue.plan_at("studio", after, after).unwrap().retired);
        assert!(!catalogue.plan_at("studio", before, after).unwrap().retired);
    }

    #[test]
    fn a_plan_that_was_removed_before_the_start_has_no_terms() {
        let catalogue =
            parsed(r#"{ "version": "2", "effective": "2027-03-01", "plans": { "studio": null } }"#);
        let (before, after) = (date(2027, 2, 28), date(2027, 3, 1));
        assert!(catalogue.plan_at("studio", after, before).is_none());
        assert!(catalogue.plan_at("studio", before, after).is_some(), "it began in time");
    }
}
