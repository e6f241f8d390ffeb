//! Automatic top-ups, requested by events of the relay. An event is delivered at least once and makes one
//! purchase. A repeated event continues that purchase.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::event::TOP_UP_DUE;
use shared::domain::ids::{Id, TeamId};
use shared::domain::purchase::PurchaseStatus;
use shared::http::views::purchase::PurchaseView;
use shared::lambda::EventBridgeEvent;

use crate::PurchaseState;

#[derive(Deserialize)]
struct Due {
    id: Id,
    team: TeamId,
}

/// Makes the automatic top-up of an event. Returns the purchase; null if the team's settings or its balance
/// no longer require one, if it would exceed the monthly limit, or while another purchase is pending.
///
/// # Errors
/// [`Error::Invalid`] for another event; [`Error::PaymentFailed`] if no provider is connected;
/// [`Error::NotFound`], [`Error::AccountClosed`], [`Error::Busy`], [`Error::Internal`].
pub async fn top_up(state: &PurchaseState, event: &[u8]) -> Result<Value, Error> {
    let event = EventBridgeEvent::parse(event)?;
    if event.kind != TOP_UP_DUE {
        return Err(event.unknown_kind());
    }
    let Due { id, team } = event.detail()?;
    let now = state.app.clock.now();
    let list = state.app.prices(now);
    state.stripe.check_connected()?;
    let store = &state.app.store;
    let purchase = match store.top_up_begin(&team, &id, list, now).await? {
        Some(purchase) => {
            if purchase.status == PurchaseStatus::Pending {
                store.account_check_open(&team).await?;
            }
            let customer = store.customer_read(&team).await?;
            let (purchase, next_action) = state.pay(purchase, customer).await?;
            Some(PurchaseView::new(purchase, next_action))
        }
        None => None,
    };
    Ok(json!({ "purchase": purchase }))
}
