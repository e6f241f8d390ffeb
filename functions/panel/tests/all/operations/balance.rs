//! Balance, history, usage, and the catalogue.

use balance::{CatalogueQuery, HistoryPage, HistoryQuery, UsageQuery};
use shared::domain::Error;
use shared::http::pages::LIMIT_MAX;
use shared::http::views::balance::{BalanceView, TeamCreditsView};
use shared::http::views::catalogue::{PlanListView, PriceListView, PurchaseOptionsView};
use shared::http::views::usage::{CycleListView, UsageView};

use crate::operation::{Body, Callers, Operation, shape};

/// The limits of a file. The constants of `balance` are private; a test compares them.
const FILE_BYTES_MAX: u32 = 6_000_000;
const FILE_SECONDS_MAX: u32 = 20;

#[test]
fn the_limits_of_a_file_are_those_of_the_function() {
    let source = crate::read("../balance/src/csv_file.rs").replace('_', "");
    for limit in [
        format!("FILEBYTESMAX: usize = {FILE_BYTES_MAX};"),
        format!("FILETIMEMAX: Duration = Duration::fromsecs({FILE_SECONDS_MAX});"),
    ] {
        assert!(source.contains(&limit), "{limit}");
    }
}

pub fn balance() -> Vec<Operation> {
    vec![
        Operation::get("/teams/{team}/credits", "readBalance", Callers::Read)
            .summary("Read the balance")
            .answer(200, "The balance.", Body::Json(shape::<BalanceView>()))
            .stored(),
        Operation::get("/team/credits", "readOwnCredits", Callers::Person)
            .summary("Read the credits of the caller's team")
            .remark("In the shape of lemlist's public API.")
            .answer(200, "The credits.", Body::Json(shape::<TeamCreditsView>()))
            .problems(&["not-found"])
            .stored(),
        Operation::get("/teams/{team}/history", "listHistory", Callers::Read)
            .summary("List the history")
            .remark(
                "All entries of the team's ledger, newest first. Entries of one instant have a \
                 fixed order. A page with a filter may be short while `cursor` is set. An entry \
                 may appear a moment after it was written.",
            )
            .remark(format!(
                "A page has at most {LIMIT_MAX} entries. With `Accept: text/csv` the answer is \
                 the whole selection as one file; a file is never truncated. The answer is 413 if \
                 the file would have more than {FILE_BYTES_MAX} bytes, written as a JSON string, or \
                 would take longer than {FILE_SECONDS_MAX} seconds: narrow the range with `from` \
                 and `to`."
            ))
            .query::<HistoryQuery>()
            .link("listHistory", &[("cursor", "$response.body#/cursor")])
            .answer(200, "A page of entries, or a file.", Body::JsonOrCsv(shape::<HistoryPage>()))
            .problems(&["too-large"])
            .problem_example(&Error::FileTooLarge)
            .stored(),
        Operation::get("/teams/{team}/usage", "readUsage", Callers::Read)
            .summary("Read the usage of a cycle")
            .remark(
                "The current cycle by action with a forecast; a past cycle with `cycle`; the \
                 cycles with `list=true`.",
            )
            .query::<UsageQuery>()
            .answer(
                200,
                "The usage of a cycle, or the list of cycles.",
                Body::OneOf(vec![shape::<UsageView>(), shape::<CycleListView>()]),
            )
            .stored(),
    ]
}

pub fn catalogue() -> Vec<Operation> {
    vec![
        Operation::get("/prices", "listPrices", Callers::Anyone)
            .summary("List the prices")
            .query::<CatalogueQuery>()
            .cacheable("The prices in force.", Body::Json(shape::<PriceListView<'_>>())),
        Operation::get("/plans", "listPlans", Callers::Anyone)
            .summary("List the plans")
            .query::<CatalogueQuery>()
            .cacheable("The plans in force.", Body::Json(shape::<PlanListView<'_>>())),
        Operation::get("/purchase-options", "readPurchaseOptions", Callers::AnyToken)
            .summary("Read the price of credits")
            .answer(
                200,
                "The price, and the amounts that can be bought.",
                Body::Json(shape::<PurchaseOptionsView>()),
            ),
    ]
}
