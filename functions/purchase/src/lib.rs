//! Buys credits: records the purchase, asks for the payment, adds the credits once it succeeded. An
//! admin asks for it, or an event that tells of an automatic top-up.

pub mod payments;
mod top_up;

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use lambda_http::LambdaEvent;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use shared::domain::ids::Id;
use shared::domain::limits::PurchaseLimits;
use shared::domain::purchase::{Amount, Purchase, Status};
use shared::domain::time::Time;
use shared::domain::{Credits, Error};
use shared::http::permission::{Administer, Belong, Read};
use shared::http::{Body, NoQuery, Path, Permitted, answer, idempotency_key, serve};
use shared::lambda::deadline::within_deadline;
use shared::lambda::{App, Invocation};

use payments::{Payment, Payments};
pub use top_up::top_up;

/// What the handlers share.
#[derive(Clone, FromRef)]
pub struct PurchaseState {
    /// The table and the time.
    pub app: App,
    /// What can be bought at once.
    pub limits: PurchaseLimits,
    /// Who takes the money.
    pub payments: Arc<dyn Payments>,
}

impl fmt::Debug for PurchaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurchaseState").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The routes of this function.
pub fn routes(state: PurchaseState) -> Router {
    Router::new()
        .route("/teams/{team}/purchases", post(buy))
        .route("/teams/{team}/purchases/{id}", get(look))
        .route("/teams/{team}/purchases/{id}/refund", post(refund))
        .with_state(state)
}

#[derive(Deserialize)]
struct Segments {
    id: Id,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurchaseRequest {
    credits: Credits,
}

#[derive(Serialize)]
struct PurchaseView {
    id: Id,
    credits: Credits,
    amount: Amount,
    status: Status,
    top_up: bool,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_action: Option<Value>,
}

impl PurchaseView {
    fn new(purchase: Purchase, next_action: Option<Value>) -> Self {
        Self {
            amount: purchase.amount(),
            id: purchase.id,
            credits: purchase.credits,
            status: purchase.status,
            top_up: purchase.top_up,
            at: purchase.at,
            reason: purchase.reason,
            next_action,
        }
    }
}

async fn buy(
    State(state): State<PurchaseState>,
    Permitted { caller, team, .. }: Permitted<Administer>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = caller.own(idempotency_key(&headers)?);
    let PurchaseRequest { credits } = body.parse()?;
    let asked = Purchase::new(&team, key, caller.sub, credits, state.app.clock.now());
    let (purchase, is_replay) = match state.limits.check(credits) {
        Ok(()) => state.app.store.begin(&asked).await?,
        // What was bought within the limits of then is answered for ever.
        Err(error) => (state.app.store.begun(&asked).await?.ok_or(error)?, true),
    };
    let (purchase, next_action) = state.drive(purchase).await?;
    let response = match (purchase.status, is_replay) {
        (Status::Failed, _) => {
            Error::PaymentFailed(purchase.reason.unwrap_or_default()).into_response()
        }
        (Status::Pending, _) => view(StatusCode::ACCEPTED, purchase, next_action),
        (Status::Paid, true) => view(StatusCode::OK, purchase, next_action),
        (Status::Paid, false) => view(StatusCode::CREATED, purchase, next_action),
    };
    Ok(if is_replay { answer::replayed(response) } else { response })
}

fn view(status: StatusCode, purchase: Purchase, next_action: Option<Value>) -> Response {
    let view = PurchaseView::new(purchase, next_action);
    (status, Json(answer::named("purchase", view))).into_response()
}

impl PurchaseState {
    /// Brings a purchase as far as it goes now, after whatever crashed before. No payment is requested
    /// for a closed account.
    async fn drive(&self, purchase: Purchase) -> Result<(Purchase, Option<Value>), Error> {
        if purchase.status != Status::Pending {
            return Ok((purchase, None));
        }
        self.app.store.check_open(&purchase.team).await?;
        match self.payments.pay(&purchase).await? {
            Payment::Succeeded => {
                Ok((self.app.store.settle(&purchase, self.app.clock.now()).await?, None))
            }
            Payment::ActionNeeded(step) => Ok((purchase, Some(step))),
            Payment::Failed(reason) => Ok((self.app.store.fail(&purchase, &reason).await?, None)),
        }
    }
}

async fn look(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Path(Segments { id }): Path<Segments>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let purchase = app.store.purchase(&team, &id).await?;
    Ok(Json(answer::named("purchase", PurchaseView::new(purchase, None))))
}

async fn refund(_: Permitted<Belong>, _: Path<Segments>, _: NoQuery) -> Result<(), Error> {
    Err(Error::Forbidden(
        "Purchased credits are not refunded; they stay usable as long as the account exists.",
    ))
}

/// Answers the HTTP API, or an event for an automatic top-up.
///
/// # Errors
/// Those of [`serve::answer`]; those of [`top_up()`] as a problem document.
pub async fn handle(
    router: &Router,
    state: &PurchaseState,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    match Invocation::of(&event.payload) {
        Invocation::Http => serve::answer(router, event).await,
        Invocation::Queue | Invocation::Direct => {
            let bought = top_up(state, event.payload.get().as_bytes());
            answer::of_event(within_deadline(&event.context, bought).await)
        }
    }
}
