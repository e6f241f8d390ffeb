//! Automatic top-ups, as events of the relay ask for them. An event comes at least once; it makes one
//! purchase, which whoever gets it again finds and brings to its end.

use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::Error;
use shared::domain::event::TOP_UP_DUE;
use shared::domain::ids::{Id, TeamId};
use shared::lambda::EventBridgeEvent;

use crate::{PurchaseState, PurchaseView};

#[derive(Deserialize)]
struct Due {
    id: Id,
    team: TeamId,
}

/// Buys what a team wants to be bought by itself. How the purchase stands after it; null if the team
/// does not want it any more, or if it is more than the month's limit allows.
///
/// # Errors
/// [`Error::Invalid`] for another event; [`Error::PaymentFailed`] if the provider cannot be asked;
/// [`Error::NotFound`], [`Error::Busy`], [`Error::Internal`].
pub async fn top_up(state: &PurchaseState, event: &[u8]) -> Result<Value, Error> {
    let event = EventBridgeEvent::parse(event)?;
    if event.kind != TOP_UP_DUE {
        return Err(event.unknown_kind());
    }
    let Due { id, team } = event.detail()?;
    let begun = state.app.store.begin_top_up(&team, &id, state.app.clock.now()).await?;
    let purchase = match begun {
        Some(purchase) => {
            let (purchase, next_action) = state.drive(purchase).await?;
            Some(PurchaseView::new(purchase, next_action))
        }
        None => None,
    };
    Ok(json!({ "purchase": purchase }))
}
