//! A simulated Stripe account, processes with it, and the delivery of top-up events to `purchase`.

use std::sync::Arc;
use std::time::Duration;

use engine::catalogue;
use purchase::PurchaseState;
use purchase::stripe::{Secret, Secrets, Stripe};
use serde_json::Value;
use shared::domain::Error;
use shared::lambda::App;
use simulator::World;
use stripe::{Account, Faults, Simulated};
use tokio::time::sleep;

/// Answers get lost, and a request takes up to 300 ms.
pub const FAULTS: Faults = Faults { latency_ms_max: 150, ..Faults::MANY };

/// Requests take time and do not fail.
pub const SLOW: Faults = Faults { latency_ms_max: 150, ..Faults::NONE };

/// An account in simulated time. Stored cards are declined for these amounts of credits.
pub fn account(world: &World, declines: fn(u64) -> bool) -> Simulated {
    let clock = world.clock(0);
    let account = Account::new("https://pay.example").declining(declines);
    let account = Simulated::new(account, move || clock.now().timestamp().as_second());
    account.set_faults(SLOW);
    account
}

/// A new process with the account.
pub fn process(world: &World, account: &Simulated) -> PurchaseState {
    with_account(App::new(world.store(), world.clock(0), catalogue()), account)
}

/// A process with the account, whose time is that of `app`.
pub fn with_account(app: App, account: &Simulated) -> PurchaseState {
    let secret =
        Secret { api_key: "sk_test_1".to_owned(), webhook_secrets: vec!["whsec_1".to_owned()] };
    let secrets = Secrets::Fixed(Arc::new(secret));
    PurchaseState { app, stripe: Stripe::new(account.connector(), secrets, "https://app.example") }
}

/// The number of times that money was requested from cards.
pub fn attempts(account: &Simulated) -> u32 {
    account.account().intents().map(|intent| intent.charge_attempts).sum()
}

/// The cents that were taken for a team.
pub fn taken(account: &Simulated, team: &str) -> u64 {
    let account = account.account();
    let of_team = account.intents().filter(|intent| intent.metadata["team"] == team);
    of_team.map(|intent| intent.amount_received).sum()
}

/// Delivers an event until it succeeds, as Lambda does.
pub async fn deliver(state: &PurchaseState, event: &[u8]) -> Value {
    for _ in 0..20 {
        match Box::pin(purchase::top_up(state, event)).await {
            Ok(answer) => return answer,
            Err(Error::Busy) => sleep(Duration::from_secs(1)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the event did not succeed");
}
