//! The table of operations.

mod balance;
mod charges;
mod contract;
mod holds;
mod purchases;
mod teams;

use shared::domain::catalogue::Catalogue;
use shared::domain::limits::PurchaseLimits;

use crate::operation::Operation;

pub fn operations() -> Vec<Operation> {
    [
        charges::charges(),
        holds::holds(),
        balance::balance(),
        balance::catalogue(),
        purchases::purchases(),
        purchases::payment_methods(),
        teams::subscriptions(),
        teams::accounts(),
        teams::monitored_accounts(),
        teams::settings(),
        contract::contract(),
    ]
    .concat()
}

/// The words for the limits of one purchase, which the catalogue has.
fn purchase_limits() -> String {
    let catalogue = Catalogue::built_in().unwrap();
    let PurchaseLimits { minimum, maximum, .. } = &catalogue.lists().next().unwrap().purchase;
    format!(
        "the minimum and the maximum of `GET /purchase-options` ({minimum} to {maximum} in the \
         first version of the catalogue)"
    )
}

#[test]
fn operations_state_their_limits_in_words() {
    let pool = "more than 1000000000000000 credits";
    let top_up = ["100 to 1000000 in", "1 to 1000000000", "at least `auto_top_up.credits`"];
    for (id, limits) in [
        ("listHistory", ["at most 200 entries", "6000000 bytes", "20 seconds"]),
        ("buyCredits", ["100 to 1000000 in", "at most 1000000000", pool]),
        ("giveCredits", ["1 to 10000000", "do not lapse", pool]),
        ("putSettings", top_up),
        ("changeSettings", top_up),
    ] {
        let operation = operations().into_iter().find(|operation| operation.id == id).unwrap();
        let words = operation.remarks.join(" ");
        for limit in limits {
            assert!(words.contains(limit), "{id} lacks {limit}: {words}");
        }
    }
}
