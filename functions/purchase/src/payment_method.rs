//! The team's stored card.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use shared::domain::Error;
use shared::http::permission::Administer;
use shared::http::{NoBody, NoQuery, Permitted};

use crate::PurchaseState;
use crate::stripe::CardDetails;

/// The stored card of a team.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PaymentMethod {
    /// The card that is charged. Null if there is none.
    card: Option<CardView>,
}

/// A stored card.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardView {
    /// The brand, such as `visa`.
    brand: String,
    /// The last four digits.
    last4: String,
    /// The month of its expiry, 1 to 12.
    exp_month: u8,
    /// The year of its expiry.
    exp_year: u16,
}

/// A page of the payment provider.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardPage {
    /// The page on which the customer stores a first card or changes the stored one. It is valid for a short time.
    url: String,
}

pub(crate) async fn read(
    State(state): State<PurchaseState>,
    Permitted { team, .. }: Permitted<Administer>,
    _: NoQuery,
) -> Result<Json<PaymentMethod>, Error> {
    state.app.store.team_check(&team).await?;
    let card = state.stored_customer(&team).await?.card.map(|card| {
        let CardDetails { brand, last4, exp_month, exp_year } = card.card;
        CardView { brand, last4, exp_month, exp_year }
    });
    Ok(Json(PaymentMethod { card }))
}

pub(crate) async fn change(
    State(state): State<PurchaseState>,
    Permitted { team, .. }: Permitted<Administer>,
    _: NoQuery,
    _: NoBody,
) -> Result<(StatusCode, Json<CardPage>), Error> {
    state.app.store.account_check_open(&team).await?;
    let customer = state.stored_customer(&team).await?;
    let url = state.stripe.card_page(&customer).await?;
    Ok((StatusCode::CREATED, Json(CardPage { url })))
}
