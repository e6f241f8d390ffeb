//! Sells credits: records a purchase, requests the payment, and adds the credits when the payment succeeds.
//! Purchases come from admins over HTTP, and from events for automatic top-ups.

mod decline;
mod payment;
mod payment_method;
pub mod pending;
pub mod stripe;
mod top_up;
mod webhook;

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::try_join;
use lambda_http::{Context, LambdaEvent, tracing};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use shared::domain::ids::Id;
use shared::domain::purchase::{Purchase, PurchaseStatus, RecordedPurchaseRequest};
use shared::domain::{Credits, Error};
use shared::http::permission::{Administer, Belong, Manage, Read};
use shared::http::views::purchase::{NextAction, PurchaseView};
use shared::http::{
    Body, NoBody, NoQuery, Path, Permitted, Query, idempotency_key, pages, responses, serve,
};
use shared::lambda::deadline::{time_left, within_deadline};
use shared::lambda::{App, EventBridgeEvent, Invocation};

pub use payment_method::{CardPage, CardView, PaymentMethod};
use pending::SCHEDULED;
use stripe::Stripe;
pub use top_up::top_up;
pub use webhook::{Received, WebhookData, WebhookMessage, WebhookObject};

/// The state that all handlers share.
#[derive(Clone, Debug, FromRef)]
pub struct PurchaseState {
    /// The table, the clock and the catalogue.
    pub app: App,
    /// The payment provider.
    pub stripe: Stripe,
}

/// The routes of the function.
pub fn routes(state: PurchaseState) -> Router {
    Router::new()
        .route("/teams/{team}/purchases", post(create).get(list))
        .route("/teams/{team}/purchases/recorded", post(record))
        .route("/teams/{team}/purchases/{id}", get(read))
        .route("/teams/{team}/purchases/{id}/refund", post(refund))
        .route(
            "/teams/{team}/payment-method",
            get(payment_method::read).post(payment_method::change),
        )
        .route("/webhooks/stripe", post(webhook::receive_message))
        .with_state(state)
}

#[derive(Deserialize)]
struct Segments {
    id: Id,
}

/// The body of `POST /teams/{team}/purchases`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PurchaseRequest {
    /// The credits to buy.
    credits: Credits,
}

async fn create(
    State(state): State<PurchaseState>,
    Permitted { caller, team, .. }: Permitted<Administer>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = caller.own(idempotency_key(&headers)?);
    let PurchaseRequest { credits } = body.parse()?;
    let now = state.app.clock.now();
    let list = state.app.prices(now);
    let asked = Purchase::new(&team, key, caller.sub, list.offer(credits)?, now);
    let is_accepted = list.purchase.check(credits).and_then(|()| state.stripe.check_connected());
    let Bought { purchase, is_replay, next_action } = state.buy(&asked, is_accepted).await?;
    let response = match (purchase.status, is_replay) {
        (PurchaseStatus::Failed, _) => {
            Error::PaymentFailed(purchase.reason.unwrap_or_default()).into_response()
        }
        (PurchaseStatus::Pending, _) => view(StatusCode::ACCEPTED, purchase, next_action),
        (PurchaseStatus::Paid, true) => view(StatusCode::OK, purchase, next_action),
        (PurchaseStatus::Paid, false) => view(StatusCode::CREATED, purchase, next_action),
    };
    Ok(if is_replay { responses::replayed(response) } else { response })
}

/// An ordered purchase.
#[derive(Clone, Debug)]
pub struct Bought {
    /// The purchase.
    pub purchase: Purchase,
    /// Whether an earlier request has ordered it.
    pub is_replay: bool,
    /// The step that its payment needs from the customer.
    pub next_action: Option<NextAction>,
}

impl PurchaseState {
    /// Orders a purchase and requests its payment, or continues the one of an earlier request. A new order is refused
    /// unless it `is_accepted`.
    ///
    /// # Errors
    /// That of `is_accepted`; those of [`Store::purchase_begin`](shared::store::Store::purchase_begin).
    pub async fn buy(
        &self,
        asked: &Purchase,
        is_accepted: Result<(), Error>,
    ) -> Result<Bought, Error> {
        let store = &self.app.store;
        let begun = async {
            match is_accepted {
                Ok(()) => store.purchase_begin(asked).await,
                Err(error) => Ok((store.purchase_replay(asked).await?.ok_or(error)?, true)),
            }
        };
        let begun = try_join(begun, store.customer_read(&asked.team)).await?;
        let ((purchase, is_replay), customer) = begun;
        if is_replay && purchase.status == PurchaseStatus::Pending {
            store.account_check_open(&purchase.team).await?;
        }
        let (purchase, next_action) = self.pay(purchase, customer).await?;
        Ok(Bought { purchase, is_replay, next_action })
    }
}

fn view(status: StatusCode, purchase: Purchase, next_action: Option<NextAction>) -> Response {
    let view = PurchaseView::new(purchase, next_action);
    (status, Json(responses::named("purchase", view))).into_response()
}

async fn read(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Path(Segments { id }): Path<Segments>,
    _: NoQuery,
) -> Result<Json<Value>, Error> {
    let purchase = app.store.purchase_read(&team, &id).await?;
    Ok(Json(responses::named("purchase", PurchaseView::new(purchase, None))))
}

/// The query of `GET /teams/{team}/purchases`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PurchaseListQuery {
    /// The purchases of a page, at most [`pages::LIMIT_MAX`].
    #[serde(default = "pages::default_limit")]
    limit: usize,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// A page of purchases.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PurchaseListPage {
    purchases: Vec<PurchaseView>,
    /// The `cursor` of the next page. Null on the last page.
    cursor: Option<String>,
}

async fn list(
    State(app): State<App>,
    Permitted { team, .. }: Permitted<Read>,
    Query(PurchaseListQuery { limit, cursor }): Query<PurchaseListQuery>,
) -> Result<Json<PurchaseListPage>, Error> {
    pages::check_limit(limit)?;
    let after = cursor.as_deref().map(pages::decode).transpose()?;
    app.store.team_check(&team).await?;
    let page = app.store.purchase_list(&team, after.as_ref(), limit).await?;
    let purchases = page.purchases.into_iter().map(|found| PurchaseView::new(found, None));
    Ok(Json(PurchaseListPage {
        purchases: purchases.collect(),
        cursor: page.next.map(pages::encode),
    }))
}

async fn record(
    State(app): State<App>,
    Permitted { caller, team, .. }: Permitted<Manage>,
    _: NoQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let key = caller.own(idempotency_key(&headers)?);
    let request: RecordedPurchaseRequest = body.parse()?;
    let now = app.clock.now();
    request.check(app.prices(now).credit.currency)?;
    let asked = Purchase::recorded(&team, key, caller.sub, request, now);
    let (purchase, is_replay) = app.store.purchase_record(&asked).await?;
    let status = if is_replay { StatusCode::OK } else { StatusCode::CREATED };
    let response = view(status, purchase, None);
    Ok(if is_replay { responses::replayed(response) } else { response })
}

async fn refund(
    _: Permitted<Belong>,
    _: Path<Segments>,
    _: NoQuery,
    _: NoBody,
) -> Result<(), Error> {
    Err(Error::Forbidden(
        "Purchased credits are not refunded; they stay usable as long as the account exists.",
    ))
}

/// Answers the HTTP API, the schedule, or an event for an automatic top-up.
///
/// # Errors
/// Those of [`serve::answer`]; those of [`top_up()`] and of the schedule as a problem document.
pub async fn handle(
    router: &Router,
    state: &PurchaseState,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, lambda_http::Error> {
    match Invocation::of(&event.payload) {
        Invocation::Http => serve::answer(router, event).await,
        Invocation::Queue | Invocation::Direct => {
            let done = Box::pin(on_event(state, event.payload.get().as_bytes(), &event.context));
            responses::of_event(within_deadline(&event.context, done).await)
        }
    }
}

/// Handles an invocation by the schedule or an event for an automatic top-up.
///
/// # Errors
/// Those of [`top_up()`]; [`Error::Busy`] if the schedule found purchases that it could not conclude.
async fn on_event(state: &PurchaseState, event: &[u8], context: &Context) -> Result<Value, Error> {
    if EventBridgeEvent::parse(event)?.kind != SCHEDULED {
        return top_up(state, event).await;
    }
    let done = pending::run(state, time_left(context)).await;
    tracing::info!(?done, "pending purchases were processed");
    if done.left {
        tracing::warn!("the time ended before all pending purchases were processed");
    }
    if done.errors > 0 {
        return Err(Error::Busy);
    }
    serde_json::to_value(done).map_err(Error::internal)
}
