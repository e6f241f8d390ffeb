//! The simulated Stripe account of the local stack.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use purchase::PurchaseState;
use purchase::stripe::{Secret, Secrets, Stripe};
use shared::aws::connect::connector;
use shared::domain::Credits;
use shared::lambda::App;
use stripe::{Account, Simulated};

use crate::Options;

/// A purchase of this amount by a stored card is declined.
pub const DECLINED: Credits = Credits::new(402);

/// A purchase of this amount by a stored card needs a step of the customer.
pub const NEEDS_A_STEP: Credits = Credits::new(202);

/// The secret of the webhook.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_simulated";

/// The path of the pages.
pub(crate) const PAGES: &str = "/dev/pay";

/// A simulated account whose pages are below `url`, in the time of `app`.
#[must_use]
pub fn account(app: &App, url: &str) -> Simulated {
    // A database on disk may have ids of an earlier run.
    let first = usize::try_from(app.clock.now().timestamp().as_second()).unwrap_or(1);
    numbered_account(app, url, first)
}

fn numbered_account(app: &App, url: &str, first: usize) -> Simulated {
    let clock = app.clock.clone();
    let now = move || clock.now().timestamp().as_second();
    Simulated::new(Account::new(&format!("{url}{PAGES}")).numbered_from(first), now)
}

/// The state of `purchase` with a simulated account. Customers return to `{url}/dev/pay`.
#[must_use]
pub fn purchase_state_with(app: App, account: &Simulated, url: &str) -> PurchaseState {
    let secret = Secret {
        api_key: "sk_test_simulated".to_owned(),
        webhook_secrets: vec![WEBHOOK_SECRET.to_owned()],
    };
    let return_url = format!("{url}{PAGES}");
    let stripe = Stripe::new(account.connector(), Secrets::Fixed(Arc::new(secret)), &return_url);
    PurchaseState { app, stripe }
}

/// The ids of the next account that [`purchase_state`] makes. They are above those of [`account`].
static NEXT_ID: AtomicUsize = AtomicUsize::new(1_000_000_000_000);

/// The state of `purchase` with a simulated account of its own, in which the customers of earlier ones are deleted.
#[must_use]
pub fn purchase_state(app: App) -> PurchaseState {
    let url = "http://127.0.0.1";
    let first = NEXT_ID.fetch_add(1_000_000, Ordering::Relaxed);
    let account = numbered_account(&app, url, first);
    purchase_state_with(app, &account, url)
}

/// The state of `purchase` in a stack: with the real account of the options, else with a simulated one.
pub(crate) fn stack_purchase_state(
    app: App,
    account: &Simulated,
    options: &Options,
    url: &str,
) -> PurchaseState {
    match &options.stripe_key {
        Some(key) => real_purchase_state(app, key, options, url),
        None => purchase_state_with(app, account, url),
    }
}

/// The state of `purchase` with a real account in test mode.
fn real_purchase_state(app: App, key: &str, options: &Options, url: &str) -> PurchaseState {
    let webhook_secrets = options.stripe_webhook_secret.iter().cloned().collect();
    let secret = Secret { api_key: key.to_owned(), webhook_secrets };
    let secrets = Secrets::Fixed(Arc::new(secret));
    let stripe = Stripe::new(connector(), secrets, &format!("{url}{PAGES}"));
    PurchaseState { app, stripe }
}
