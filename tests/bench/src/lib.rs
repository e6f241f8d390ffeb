//! The measurements of the benchmarks and the designs that they compare.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a benchmark, which stops at what it did not expect"
)]

pub mod change;
pub mod contention;
pub mod naive;
pub mod schedule;

use engine::prices;
use shared::domain::Credits;
use shared::domain::charge::ChargeRequest;
use shared::domain::ids::{CallerKey, TeamId};
use shared::domain::ledger::entry::Entry;
use shared::domain::purchase::GiftRequest;
use shared::domain::time::Time;
use shared::store::Store;

/// The price of a charge in credits.
pub const PRICE: u64 = 5;

/// Opens a team with `credits` purchased credits.
pub async fn team_with(store: &Store, credits: u64, now: Time) -> TeamId {
    let team: TeamId = "t".parse().unwrap();
    store.pool_open(&team).await.unwrap();
    let gift = GiftRequest { credits: Credits::new(credits), reference: None };
    let gift = gift.entry(&team, key("gift"), "bench".parse().unwrap(), now).unwrap();
    store.gift_add(gift).await.unwrap();
    team
}

fn key(text: &str) -> CallerKey {
    CallerKey::of_machine(text.parse().unwrap())
}

/// A charge of [`PRICE`] credits.
#[must_use]
pub fn entry(team: &TeamId, key: &str, now: Time) -> Entry {
    let request: ChargeRequest =
        serde_json::from_str(r#"{"action":"email_finder","outcome":"deliverable"}"#).unwrap();
    request.price(team, self::key(key), None, prices(), now).unwrap()
}
